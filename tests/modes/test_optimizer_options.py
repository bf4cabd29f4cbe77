"""What an optimizer does with the gradients it is given, which are what is reported."""

import keras
import pytest

import keras_activations as ka
from tests.modes.runs import (
    EAGERLY,
    batches,
    classifier,
    crossentropy,
    digits,
    fit,
    make_monitor,
    watch,
)
from tests.modes.twin import assert_describes_steps, assert_describes_update

STEPS = 12
AVERAGES = {"use_ema": True, "ema_momentum": 0.9, "ema_overwrite_frequency": 5}
OPTIMIZERS = {
    "gradient accumulation": (
        keras.optimizers.Adam,
        {"gradient_accumulation_steps": 3},
        {},
    ),
    "averages, weight decay and clipping": (
        keras.optimizers.AdamW,
        {"weight_decay": 0.1, "global_clipnorm": 0.1, **AVERAGES},
        {},
    ),
    "loss scale factor": (
        keras.optimizers.Adam,
        {"loss_scale_factor": 1024.0},
        EAGERLY,
    ),
    # Built within the step, its copies of the weights are not those built before it.
    "copies": (keras.optimizers.ScheduleFreeAdamW, {}, {}),
}


@pytest.mark.parametrize(
    ("optimizer", "options", "compile"), OPTIMIZERS.values(), ids=OPTIMIZERS
)
def test_optimizers(optimizer, options, compile):
    def run(monitor):
        how = {"optimizer": optimizer(0.01, **options), **compile}
        return fit(classifier, monitor, compile=how)

    watched = watch(run)
    names = [v.path for v in watched.model.weights]
    assert [window.step for window in watched.windows] == list(range(1, STEPS + 1))
    for before, batch, after, window in zip(
        watched.before,
        batches(*digits(STEPS)),
        watched.after,
        watched.windows,
        strict=True,
    ):
        assert_describes_steps(window, [(before, batch)])
        assert_describes_update(window, names, before, after)


def accumulating():
    """Moves its weights at every second step."""
    model = classifier()
    optimizer = keras.optimizers.SGD(0.1, gradient_accumulation_steps=2)
    model.compile(optimizer, crossentropy(), **EAGERLY)
    return model


def test_a_new_monitor_goes_on_counting_accumulated_steps():
    """`optimizer.iterations` counts updates then, and a step is not an update."""
    model = accumulating()
    for steps in ([1, 2, 3, 4], [5, 6, 7, 8]):
        monitor, windows = make_monitor()
        model.fit(*digits(4), batch_size=8, verbose=0, callbacks=[monitor])
        assert [window.step for window in windows] == steps


def test_accumulated_updates_are_not_missed_by_samples():
    """With `every` a multiple of the accumulation, no step sampled is an update."""
    monitor, windows = make_monitor(every=2)
    accumulating().fit(*digits(6), batch_size=8, verbose=0, callbacks=[monitor])
    assert windows
    for window in windows:
        ratio = window.layers["hidden"].update_ratio
        assert ratio is None or ratio > 0


def normalised():
    """A network with a gradient that is a product, as that of the scale is."""
    dense = keras.layers.Dense
    inputs = x = keras.Input((64,))
    for _ in range(2):
        x = keras.layers.BatchNormalization()(dense(64, use_bias=False)(x))
        x = keras.layers.ReLU()(x)
    return keras.Model(inputs, dense(10)(x))


@pytest.mark.parametrize("action", ["warn", "clip"])
def test_products_are_multiplied_in_the_same_order(action):
    """SGD does so with its rate, where nothing else reads the gradient of a scale."""
    x, y = digits(44)

    def run(monitor):
        return fit(normalised, monitor, x=x, y=y, batch_size=16, epochs=2)

    actions = dict.fromkeys(("on_nonfinite", "on_exploding_gradient"), action)
    rules = [ka.rules.ExplodingGradient()]
    watched = watch(run, rules=rules, every=20, **actions)
    scale = next(v for v in watched.model.weights if v.path.endswith("gamma"))
    (stats, *_) = (
        w
        for layer in watched.windows[0].layers.values()
        for w in layer.weights
        if w.path == scale.path
    )
    assert stats.gradient_norm > 0
