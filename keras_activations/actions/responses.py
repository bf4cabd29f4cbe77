"""Responses: what is done to the run when a rule finds something."""

import difflib

ACTIONS = ("ignore", "warn", "stop", "raise", "clip", "rescue")


class FindingError(RuntimeError):
    """Raised out of training by the action `"raise"`; the model is left clean.

    Attributes:
        finding: the `Finding` that it was raised for.
    """

    def __init__(self, finding):
        super().__init__(str(finding))
        self.finding = finding


def check_action(rule, action):
    """Returns the action when there is such a one.

    Raises:
        ValueError: unknown.
    """
    option = f"on_{rule}"
    if callable(action):
        return action
    if action not in ACTIONS:
        close = difflib.get_close_matches(str(action), ACTIONS, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise ValueError(
            f"`{option}` must be one of {', '.join(map(repr, ACTIONS))} or a callable "
            f"(finding, model).{hint} Received: {option}={action!r}"
        )
    return action


def action_name(action):
    """How a finding names an action; a callable by its own name."""
    return (
        action if isinstance(action, str) else getattr(action, "__name__", "callable")
    )


def respond(finding, action, model, flag="stop_training"):
    """Does to the run what the action says.

    `"warn"` is said by the report; `"clip"` and `"rescue"` are a `Treatment`.

    Args:
        finding: a `Finding`.
        action: the name of an action, or a callable.
        model: the `keras.Model`.
        flag: attribute of the model by which what runs is stopped.

    Raises:
        FindingError: with the action `"raise"`.
    """
    if callable(action):
        action(finding, model)
    elif action == "raise":
        raise FindingError(finding)
    elif action == "stop":
        setattr(model, flag, True)
