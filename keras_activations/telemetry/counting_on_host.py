"""The counts of `counting` for samples that the host can see, in NumPy.

On a CPU the samples lie in the host's own memory. There the calls into TensorFlow take
longer than the counting, and to trace them would take as long as hundreds of readings.
"""

import numpy as np

from keras_activations.telemetry.counting import BINS, COLUMNS


def sample_extremes(samples, number):
    """See `counting.sample_extremes`; takes and returns arrays."""
    pairs = [_extremes(row)[1] for row in _side_by_side(samples, number)]
    return np.array(pairs, np.float64).reshape(-1, 2)


def sample_summary(samples, number, thresholds, ranges):
    """See `counting.sample_summary`; takes and returns arrays."""
    values = _side_by_side(samples, number)
    # Sums of float64 values may overflow, and be infinite then.
    with np.errstate(all="ignore"):
        rows = [_row(*of) for of in zip(values, thresholds, ranges, strict=True)]
    return np.array(rows, np.float64).reshape(-1, COLUMNS)


def _side_by_side(samples, number):
    taken = samples[:number].swapaxes(0, 1)
    return taken.reshape(len(taken), -1) if taken.size else np.zeros((len(taken), 0))


def _row(values, thresholds, limits):
    values, extremes = _extremes(values)
    moments = _moments(values, *thresholds.astype(values.dtype))
    return np.concatenate([extremes, moments, _histogram(values, *limits)])


def _extremes(values):
    """The finite values, and the least and the greatest of them."""
    extremes = values.min(initial=np.inf), values.max(initial=-np.inf)
    if not np.isfinite(extremes).all():
        values = values[np.isfinite(values)]
        extremes = values.min(initial=np.inf), values.max(initial=-np.inf)
    return values, extremes


def _moments(values, low, high):
    wide = values.astype(np.float64)
    total = wide.sum()
    mean = total / max(len(values), 1)
    # Centred first: the difference of two large squares would lose all digits.
    wide -= mean
    # Not by a product of vectors: the threads of BLAS, once awake, keep a core from the
    # training for a tenth of a second.
    return (
        len(values),
        total,
        np.square(wide, out=wide).sum(),
        total * mean,
        0 if np.isnan(low) else np.count_nonzero(values <= low),
        0 if np.isnan(high) else np.count_nonzero(values >= high),
        np.count_nonzero(values == 0),
    )


def _histogram(values, low, high):
    if not np.isfinite(low):
        return np.zeros(BINS)
    # Halved first: the distance of two values may be beyond their dtype.
    place = values / 2
    place -= values.dtype.type(low / 2)
    place *= values.dtype.type(2 * (BINS / (high - low)))
    np.clip(place, 0, BINS - 1, out=place)
    return np.bincount(place.astype(np.intp), minlength=BINS)
