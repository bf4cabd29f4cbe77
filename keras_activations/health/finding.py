"""What a rule found."""

import dataclasses

RULES = (
    "nonfinite",
    "saturation",
    "dead_units",
    "vanishing_gradient",
    "exploding_gradient",
)

# What the data of a run can tell apart, see `health.causes`.
CAUSES = (
    "unscaled_inputs",
    "unscaled_targets",
    "large_weights",
    "small_weights",
    "alike_weights",
    "learning_rate",
    "weight_decay",
    "dead_bias",
    "bad_data",
    "overflow",
    "bad_gradient",
    "unknown",
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
        cause: the probable cause, one of `CAUSES`.
        medicine: what to do about that cause, in a few words.
    """

    step: int
    epoch: int
    layer: str
    rule: str
    value: float
    threshold: float
    action: str
    message: str
    cause: str = "unknown"
    medicine: str = ""

    def __str__(self):
        return f"step {self.step}, {self.layer}: {self.message}"
