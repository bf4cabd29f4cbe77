"""What a window says of the batches: inputs, targets and loss, in a real `fit`."""

import keras
import numpy as np
import pytest

import keras_activations as ka


class Keeper(ka.rules.Saturation):
    """Keeps every window that it is asked to judge."""

    def __init__(self):
        super().__init__()
        self.windows = []

    def judge(self, window, state):
        self.windows.append(window)
        return super().judge(window, state)


def windows_of(x, y, loss="mse", **options):
    inputs = keras.tree.map_structure(lambda a: keras.Input(a.shape[1:]), x)
    joined = keras.layers.Concatenate()(inputs) if isinstance(x, list) else inputs
    model = keras.Model(inputs, keras.layers.Dense(2, "sigmoid")(joined))
    model.compile("sgd", loss, **options)
    keeper = Keeper()
    monitor = ka.ActivationMonitor(every=2, rules=[keeper], verbose=0)
    history = model.fit(
        x, y, batch_size=len(y), epochs=3, shuffle=False, verbose=0, callbacks=[monitor]
    )
    return keeper.windows, history.history["loss"]


@pytest.mark.parametrize("xla", [False, True])
def test_inputs_targets_and_loss_of_the_sampled_steps(xla):
    random = np.random.default_rng(0)
    x = random.normal(50, 20, (16, 4)).astype("float32")
    y = random.normal(-3, 2, (16, 2)).astype("float32")

    windows, losses = windows_of(x, y, jit_compile=xla)

    assert [window.step for window in windows] == [1, 3]
    for window in windows:
        for stats, values in ((window.inputs, x), (window.targets, y)):
            expected = values.mean(dtype="f8"), values.std(dtype="f8")
            assert (stats.mean, stats.std) == pytest.approx(expected, rel=1e-5)
            assert (stats.min, stats.max) == (values.min(), values.max())
    assert [window.loss for window in windows] == pytest.approx(losses[::2], rel=1e-5)


def test_several_inputs_count_together_and_integers_do_not():
    x = [np.full((8, 1), 1, "float32"), np.full((8, 1), 3, "float32")]
    y = np.arange(8) % 2

    windows, _ = windows_of(x, y, loss="sparse_categorical_crossentropy")

    inputs = windows[0].inputs
    assert (inputs.mean, inputs.std) == pytest.approx((2, 1))
    assert (inputs.min, inputs.max) == (1, 3)
    assert windows[0].targets is None


def test_what_is_not_finite_is_left_out():
    x = np.array([[np.nan, 1.0], [3.0, np.inf]], "float32")

    windows, _ = windows_of(x, np.zeros((2, 2), "float32"))

    assert windows[0].inputs.mean == pytest.approx(2)
    assert windows[0].inputs.max == 3
    assert windows[0].loss is None
