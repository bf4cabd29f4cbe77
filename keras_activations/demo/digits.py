"""What the networks read: handwritten digits, and the seed of every random choice."""

import dataclasses

import numpy as np

SEED = 1


@dataclasses.dataclass(frozen=True)
class Digits:
    """Images as rows of 64 grey values in [0, 1], and what they show, 0 to 9.

    Attributes:
        x_train, y_train: arrays of shape `(images, 64)` and `(images,)`.
        x_test, y_test: likewise, images that no network is trained on.
    """

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray


def load_digits():
    """The 1797 digits that come with scikit-learn, a fifth of them for the test.

    Returns:
        `Digits`.

    Raises:
        SystemExit: when scikit-learn is missing.
    """
    try:
        from sklearn import datasets  # type: ignore[import-untyped]
    except ImportError:
        raise SystemExit(
            "The demo takes its digits from scikit-learn, which is not installed: "
            "pip install 'keras_activations[demo]'"
        ) from None
    x, y = datasets.load_digits(return_X_y=True)
    order = np.random.default_rng(SEED).permutation(len(x))
    x, y = (x[order] / 16).astype("float32"), y[order]
    test = len(x) // 5
    return Digits(x[test:], y[test:], x[:test], y[:test])
