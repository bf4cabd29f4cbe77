"""What a model computes in: half precision, with loss scaling, and double."""

import keras
import numpy as np
import pytest

import keras_activations as ka
from tests.modes.runs import batches, classifier, digits, fit, watch
from tests.modes.twin import assert_describes_steps

STEPS = 12


@pytest.fixture
def policy(request):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(request.param)
    yield request.param
    keras.config.set_dtype_policy(before)


# float32 is what all the other tests compute in. The gradients are bfloat16's to one
# unit that fires in one type and not in the other.
@pytest.mark.parametrize(
    ("policy", "rtol", "gradient_rtol"),
    [("float64", 1e-12, 1e-6), ("mixed_bfloat16", 2e-2, 0.2)],
    indirect=["policy"],
)
def test_policies(policy, rtol, gradient_rtol):
    watched = watch(lambda monitor: fit(classifier, monitor))
    assert watched.model.compute_dtype == policy.removeprefix("mixed_")
    for *step, window in zip(
        watched.before, batches(*digits(STEPS)), watched.windows, strict=True
    ):
        assert_describes_steps(window, [step], rtol, gradient_rtol)


@pytest.mark.parametrize("policy", ["mixed_float16"], indirect=True)
def test_steps_that_loss_scaling_skips(policy):
    """They are counted and no findings, and the others are described unscaled."""

    def optimizer():  # whose first scales are too great for float16
        inner = keras.optimizers.SGD(0.1, momentum=0.9)
        return keras.optimizers.LossScaleOptimizer(inner, initial_scale=2.0**20)

    rules = [ka.rules.ExplodingGradient(), ka.rules.VanishingGradient(patience=1)]
    watched = watch(
        lambda monitor: fit(classifier, monitor, compile={"optimizer": optimizer()}),
        rules=rules,
    )
    assert watched.monitor.findings == []
    assert [window.step for window in watched.windows] == list(range(1, STEPS + 1))
    skipped = 0
    for before, batch, after, window in zip(
        watched.before,
        batches(*digits(STEPS)),
        watched.after,
        watched.windows,
        strict=True,
    ):
        if any((one != other).any() for one, other in zip(before, after, strict=True)):
            assert_describes_steps(window, [(before, batch)], 4e-3, 1e-2)
            continue
        skipped += 1
        weights = [w for stats in window.layers.values() for w in stats.weights]
        assert sum(w.gradient_nan_count + w.gradient_inf_count for w in weights) > 0
        assert not any(w.update_ratio for w in weights)
    assert 0 < skipped == STEPS - int(watched.model.optimizer.iterations) < STEPS


@pytest.mark.parametrize("policy", ["mixed_float16"], indirect=True)
def test_overflow_at_any_scale_is_a_finding(policy):
    """The scale is 2**15 at first: halved more often than that, it is not at fault."""
    inputs = keras.Input((64,))
    x = keras.layers.Dense(6, name="before")(inputs)
    # The slope of the root at 0 is infinite, and infinity times 0 is NaN.
    x = keras.layers.Lambda(lambda x: keras.ops.sqrt(0 * keras.ops.relu(x)))(x)
    model = keras.Model(inputs, keras.layers.Dense(10, name="after")(x))
    monitor = ka.ActivationMonitor(on_nonfinite="stop", verbose=0)
    x, y = digits(30)
    watched = fit(lambda: model, monitor, x=x, y=y, batch_size=8)
    (finding,) = monitor.findings
    assert (finding.rule, finding.layer) == ("nonfinite", "before")
    assert 15 < finding.step == len(watched.before) < 30
    assert int(model.optimizer.iterations) == 0
    assert all(np.isfinite(v.numpy()).all() for v in model.weights)
