"""What is known of the outputs of an activation function."""

import dataclasses
import math


@dataclasses.dataclass(frozen=True)
class Region:
    """What is known of the outputs of an activation function.

    Attributes:
        lower, upper: range of the outputs; infinite where unbounded.
        saturated_below: outputs at most this are saturated. None where that side
            is not flat and bounded, or is a floor.
        saturated_above: outputs at least this are saturated, likewise.
        floor: (low, high): a unit whose outputs all lie in this closed band passes
            next to no gradient. None where the function has no floor.
        histogram: (low, high), finite, for bins of fixed width. None where the
            bins must follow the data.
        elementwise: whether an output depends on one input only.
    """

    lower: float = -math.inf
    upper: float = math.inf
    saturated_below: float | None = None
    saturated_above: float | None = None
    floor: tuple[float, float] | None = None
    histogram: tuple[float, float] | None = None
    elementwise: bool = True
