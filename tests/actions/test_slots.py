import keras
import numpy as np
import pytest

from keras_activations.actions.slots import forget

OPTIMIZERS = ["SGD", "Adam", "RMSprop", "Adagrad", "Adadelta", "Nadam", "Ftrl", "Lion"]


def trained(optimizer, loss_scaling=False):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    optimizer.build(model.trainable_variables)
    fresh = [v.numpy() for v in optimizer.variables]
    if loss_scaling:
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
        optimizer.build(model.trainable_variables)
    gradients = [keras.ops.ones_like(v) for v in model.trainable_variables]
    for _ in range(2):
        optimizer.apply(gradients, model.trainable_variables)
    return model, optimizer, fresh


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_slots_are_as_at_the_start(name):
    options = {"momentum": 0.9} if name == "SGD" else {}
    optimizer = getattr(keras.optimizers, name)(**options)
    model, optimizer, fresh = trained(optimizer)
    before = [v.numpy() for v in optimizer.variables]
    forget(optimizer, [model.layers[0].kernel])
    changed = 0
    for old, start, variable in zip(before, fresh, optimizer.variables, strict=True):
        if "kernel" in variable.path:
            np.testing.assert_array_equal(variable.numpy(), start)
            changed += 1
        else:  # the bias's, the number of steps and the learning rate
            np.testing.assert_array_equal(variable.numpy(), old)
    assert changed


def test_an_average_of_the_weight_starts_from_it():
    model, optimizer, _ = trained(keras.optimizers.SGD(0.5, use_ema=True))
    kernel = model.layers[0].kernel
    forget(optimizer, [kernel])
    (average, _) = optimizer._model_variables_moving_average
    np.testing.assert_array_equal(average.numpy(), kernel.numpy())


def test_behind_a_scaling_of_the_loss():
    model, optimizer, _ = trained(keras.optimizers.Adam(), loss_scaling=True)
    forget(optimizer, model.trainable_variables)
    for slot in optimizer.inner_optimizer._momentums:
        assert not slot.numpy().any()


def test_what_is_not_trained_has_none():
    model, optimizer, _ = trained(keras.optimizers.Adam())
    forget(optimizer, [keras.Variable([1.0])])
    forget(None, model.trainable_variables)
    forget(keras.optimizers.Adam(), model.trainable_variables)  # not built
