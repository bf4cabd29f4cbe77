import keras
import numpy as np

from keras_activations.actions.snapshots import SPACING, Snapshots


def network():
    model = keras.Sequential(
        [keras.Input((3,)), keras.layers.Dense(2), keras.layers.BatchNormalization()]
    )
    model.compile("adam", "mse")
    return model


def values(model):
    return [v.numpy() for v in model.weights]


def train(model):
    x = np.random.default_rng(0).normal(size=(8, 3)).astype("float32")
    model.fit(x, x[:, :2], verbose=0)


def assert_same(first, second):
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)


def test_weights_and_slots_come_back_and_the_rest_goes_on():
    model = network()
    train(model)
    snapshots = Snapshots(model, model.optimizer)
    snapshots.take(1)
    weights, slots = values(model), [v.numpy() for v in model.optimizer._momentums]
    train(model)
    model.optimizer.learning_rate = 0.5
    assert snapshots.restore() == 1
    assert_same(values(model), weights)
    assert_same([v.numpy() for v in model.optimizer._momentums], slots)
    assert int(model.optimizer.iterations) == 2
    assert float(model.optimizer.learning_rate) == 0.5


def test_one_taken_before_there_were_slots_empties_them():
    model = network()
    snapshots = Snapshots(model, model.optimizer)
    snapshots.take(0)
    train(model)
    assert snapshots.restore() == 0
    assert not any(v.numpy().any() for v in model.optimizer._momentums)


def test_two_generations_some_windows_apart():
    model = network()
    kept = {}
    snapshots = Snapshots(model, model.optimizer)
    for step in range(2 * SPACING + 1):
        model.layers[0].kernel.assign(keras.ops.full((3, 2), float(step)))
        kept[step] = values(model)
        snapshots.take(step)
    assert snapshots.restore(older=True) == SPACING
    assert_same(values(model), kept[SPACING])
    # What came after the one that was restored is not trusted any more.
    assert snapshots.restore() == SPACING


def test_what_there_was_before_a_rate_was_raised_is_kept_with_that_rate():
    model = network()
    snapshots = Snapshots(model, model.optimizer)
    snapshots.take(1)
    first = values(model)
    train(model)
    weights = values(model)
    snapshots.take_before_raise(7, 0.001)
    train(model)
    assert (snapshots.step, snapshots.rate()) == (7, 0.001)
    assert snapshots.restore() == 7
    assert_same(values(model), weights)
    snapshots.take(11)
    snapshots.take_before_raise(12, 0.001)
    assert snapshots.restore(older=True) == 7
    assert_same(values(model), weights)
    assert any((one != other).any() for one, other in zip(first, weights, strict=True))


def test_what_was_kept_of_weights_that_were_treated_since_is_not_gone_back_to():
    model = network()
    snapshots = Snapshots(model, model.optimizer)
    snapshots.take(0)
    model.layers[0].kernel.assign(keras.ops.ones((3, 2)))
    treated = values(model)
    snapshots.begin_anew(7)
    train(model)
    assert snapshots.restore(older=True) == 7
    assert_same(values(model), treated)


def test_without_one_there_is_nothing_to_go_back_to():
    model = network()
    assert Snapshots(model, model.optimizer).restore() is None


def test_the_start_is_kept_until_something_has_been_learnt():
    model = network()
    snapshots = Snapshots(model, model.optimizer)
    snapshots.begin_anew(0)
    kernel = model.layers[0].kernel
    kernel.assign(keras.ops.full((3, 2), 5.0))
    start = values(model)
    snapshots.begin_anew(0)
    for step in range(1, 3 * SPACING):
        kernel.assign(keras.ops.full((3, 2), float(step)))
        snapshots.take(step, learnt=False)
    assert snapshots.restore(older=True) == 0
    assert_same(values(model), start)
    snapshots.take(20, learnt=True)
    for step in range(21, 21 + 2 * SPACING):
        snapshots.take(step, learnt=True)
    assert snapshots.restore(older=True) > 0
