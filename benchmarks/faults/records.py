"""Records: what is kept of a run, as a line of JSON."""

import dataclasses
import json


@dataclasses.dataclass(frozen=True)
class Alarm:
    """A finding of the monitor, or what another detector said.

    Attributes:
        step: training step, the first is 1.
        rule: one of the five rules; for another detector the one that means the same,
            or its own word where there is none.
        layer: the last part of the layer's path, None where it names none.
        cause: the probable cause, None where it names none.
        action: what was done about it.
        value, threshold, text: of the finding.
    """

    step: int
    rule: str
    layer: str | None = None
    cause: str | None = None
    action: str | None = None
    value: float | None = None
    threshold: float | None = None
    text: str = ""


@dataclasses.dataclass(frozen=True)
class Record:
    """One run of a program.

    Attributes:
        program, seed, treatment: which run.
        code: `version.code()` when it was run.
        refused: why the package would not give the treatment, None when it did.
        error: what `fit` or the ward itself raised, None when nothing.
        skill: of the end: accuracy, or the share of the targets' variance that is
            explained, at least 0; on the validation data.
        finite: whether all weights were finite at the end.
        steps: training steps done; `planned` were to be done.
        first_bad_step: the first after which the loss or a weight was not finite, as
            read from outside after each step; None if there was none.
        seconds: processor time of `fit`, tracing included; `later_seconds` is that
            after the first epoch.
        weights: a digest of all weights at the end, equal when they are to the bit.
        alarms: dict of detector ("monitor", "autotrainer", ...) to its `Alarm`s.
    """

    program: str
    seed: int
    treatment: str
    code: str = ""
    refused: str | None = None
    error: str | None = None
    skill: float = 0.0
    finite: bool = True
    steps: int = 0
    planned: int = 0
    first_bad_step: int | None = None
    seconds: float = 0.0
    later_seconds: float = 0.0
    weights: str = ""
    alarms: dict[str, list[Alarm]] = dataclasses.field(default_factory=dict)

    @property
    def key(self):
        """What makes a run one and the same."""
        return self.program, self.seed, self.treatment

    @property
    def ran(self):
        """Whether the program was trained under this treatment."""
        return self.refused is None and self.error is None

    def to_json(self):
        """One line."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, line):
        """The record of a line."""
        fields = json.loads(line)
        fields["alarms"] = {
            detector: [Alarm(**alarm) for alarm in alarms]
            for detector, alarms in fields["alarms"].items()
        }
        return cls(**fields)
