"""What stands against a medicine."""


class Untreatable(Exception):
    """A medicine that cannot be given to this patient; the message says why."""


class NothingToChange(Untreatable):
    """All is as the medicine would make it, so that something else is the matter."""
