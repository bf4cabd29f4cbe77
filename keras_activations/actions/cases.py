"""Cases: illnesses under treatment, and what is told of it."""

import dataclasses

from keras_activations.health.finding import Finding


@dataclasses.dataclass
class Case:
    """An illness under treatment.

    Attributes:
        finding: the `Finding` it was last found by.
        ladder: list of `Medicine`, to be tried one after the other.
        tried: what has been done, or could not be, a list of str.
        given: how many medicines were given.
        causes: what it was said to come from.
    """

    finding: Finding
    ladder: list
    tried: list = dataclasses.field(default_factory=list)
    given: int = 0
    causes: set = dataclasses.field(default_factory=set)


def intervention(finding, action, message, step, medicine=""):
    """A `Finding` that says what was done about another one."""
    return dataclasses.replace(
        finding, step=step, action=action, message=message, medicine=medicine
    )
