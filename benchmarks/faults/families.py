"""Which families the rules are tuned on, and which are held out.

Fixed before the first rule was tuned; a new family goes to the side that has fewer
of its kind, without a look at how it is judged.
"""

TUNE = "tune"
HOLD_OUT = "holdout"

_HELD_OUT = {
    # saturation
    "raw-cancer",
    "hard-raw-digits",
    "conv-raw",
    "gated-saturation",
    "tanh-bias",
    "sigmoid-large-weights",
    # vanishing gradient
    "sigmoid-blobs",
    "hard-sigmoid-digits",
    "conv-small-weights",
    "sigmoid-waves",
    # dead units
    "negative-weights",
    "smooth-dead-bias",
    "separable-dead-bias",
    "conv-learning-rate",
    "narrow-digits",
    # exploding gradient
    "friedman-momentum",
    "recurrent-blow-up",
    "rate-raised-later",
    "conv-rate",
    # not finite
    "unit-length",
    "own-softmax",
    "bad-targets",
    "half-precision",
    # not to be claimed
    "wrong-output",
    "blind-inputs",
    # healthy
    "deep-selu",
    "smooth",
    "converged",
    "frozen",
    "autoencoder",
    "momentum",
    "tiny-data",
    "conv-mnist",
    "recurrent-stacked",
    "attention",
    "gates",
    "mobilenet",
}


def split_of(family):
    """`TUNE` or `HOLD_OUT`."""
    return HOLD_OUT if family in _HELD_OUT else TUNE


def held_out():
    """The families that are held out."""
    return frozenset(_HELD_OUT)
