"""Units that rise and fall as one are set apart."""

import keras
import numpy as np
from keras import layers

from keras_activations.actions.affine import affine
from keras_activations.actions.decorrelation import decorrelate


def deviations_and_correlations(values):
    values = np.reshape(values, (-1, values.shape[-1]))
    return values.std(axis=0), np.corrcoef(values.T)


def test_dense_and_convolution():
    random = np.random.default_rng(0)
    x = random.normal(size=(200, 6, 4)).astype("f4")
    # Nearly one direction, of different sizes.
    kernel = random.normal(size=(4, 1)) + 0.3 * random.normal(size=(4, 3))
    kernel = kernel * [1.0, 10.0, 0.1]
    for layer in (layers.Dense(3), layers.Conv1D(3, 1)):
        layer.build(x.shape)
        layer.kernel.assign(kernel.reshape(layer.kernel.shape))
        _, before = deviations_and_correlations(layer(x))
        assert before[0, 1] > 0.7
        decorrelate(affine(layer, 3), layer(x))
        deviation, after = deviations_and_correlations(layer(x))
        np.testing.assert_allclose(deviation, 1.0, rtol=1e-2)
        np.testing.assert_allclose(after, np.eye(3), atol=1e-2)


def test_units_that_are_the_same_stay_finite():
    keras.utils.set_random_seed(1)
    x = np.random.default_rng(0).normal(size=(50, 4)).astype("f4")
    layer = layers.Dense(3)
    layer.build(x.shape)
    layer.kernel.assign(np.repeat(layer.kernel.numpy()[:, :1], 3, axis=1))
    decorrelate(affine(layer, 2), layer(x))
    assert np.isfinite(layer.kernel.numpy()).all()
