"""Programs: small trainings, faulty by design or not, and what is known of each."""

import dataclasses
from collections.abc import Callable
from typing import Any

from benchmarks.faults.data import Split

HEALTHY = "healthy"  # chosen to provoke a false alarm
TWIN = "twin"  # a faulty program without its fault
UNCLAIMED = "unclaimed"  # a fault that is no business of an activation monitor


@dataclasses.dataclass(frozen=True)
class Training:
    """What a program trains.

    Attributes:
        model: a compiled `keras.Model`.
        data: a `Split`.
        epochs, batch: as `fit` has them.
        callbacks: the program's own, as far as it needs any.
        fit: further options of `fit`.
    """

    model: Any
    data: Split
    epochs: int
    batch: int
    callbacks: tuple = ()
    fit: dict = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Program:
    """A training, as the registry knows it.

    Attributes:
        name: unique.
        family: programs with the same network, data and mechanism of the fault; a
            family is tuned on or held out as a whole.
        kind: the rule that is to find the fault, or `HEALTHY`, `TWIN`, `UNCLAIMED`.
        build: callable that gives the `Training`; the seed is set before it.
        twin: name of the same program without the fault, for faulty ones.
        layers: names of the layers any of which is the root of the illness; empty
            where that is not known.
        also: rules that name the same illness as rightly as `kind`: one fault can
            show in several ways, and which comes first depends on the seed.
        cause: the cause, as findings name it, where the design makes it certain.
        onset: share of the training after which the fault sets in.
        rescuable: whether it can be healed by changing weights, gradients and the
            learning rate; not where the network's own formula is wrong.
        least: the skill that a program without fault has to reach for its run to
            count as healthy.
    """

    name: str
    family: str
    kind: str
    build: Callable[[], Training]
    twin: str | None = None
    layers: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    cause: str | None = None
    onset: float = 0.0
    rescuable: bool = True
    least: float = 0.0

    @property
    def faulty(self):
        """Whether a rule is to find something."""
        return self.kind not in (HEALTHY, TWIN, UNCLAIMED)

    @property
    def answers(self):
        """The rules that name the illness rightly."""
        return (self.kind, *self.also)
