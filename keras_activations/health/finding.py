"""What a rule found."""

import dataclasses

RULES = (
    "nonfinite",
    "saturation",
    "dead_units",
    "vanishing_gradient",
    "exploding_gradient",
)


@dataclasses.dataclass(frozen=True)
class Finding:
    """A layer found ill at a training step.

    Attributes:
        step: training step, the first of a run is 1.
        epoch: epoch, from 0.
        layer: the layer's `path`.
        rule: one of `RULES`.
        value: what was measured.
        threshold: what it was held against.
        action: what is done about it, e.g. `"warn"`.
        message: one sentence for a person, with what to try next.
    """

    step: int
    epoch: int
    layer: str
    rule: str
    value: float
    threshold: float
    action: str
    message: str

    def __str__(self):
        return f"step {self.step}, {self.layer}: {self.message}"
