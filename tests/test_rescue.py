"""Runs that fall ill and are brought back while they run."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import keras_activations as ka
from tests import ill
from tests.board import Board
from tests.ill import compiled, fit, treating
from tests.leftovers import HOOKS

CURED = {
    "saturation": [ill.saturated, ill.saturated_apart, ill.ones],
    "dead_units": [ill.dead, ill.dead_convolution],
    "vanishing_gradient": [ill.vanishing],
    "nonfinite": [ill.bad_gradient, ill.overflowing],
}
CASES = [(rule, hidden) for rule, cases in CURED.items() for hidden in cases]


def interventions(monitor):
    return [f for f in monitor.findings if f.message.startswith("rescue, try")]


def state(model):
    variables = (*model.variables, *model.optimizer.variables)
    return [v.numpy() for v in (*variables, *model.metrics_variables)]


@pytest.mark.parametrize(
    ("rule", "hidden"), CASES, ids=lambda value: getattr(value, "__name__", value)
)
def test_comes_back(rule, hidden):
    monitor = treating("rescue")
    model = compiled(hidden)
    accuracy = fit(model, monitor)["accuracy"][-1]
    assert accuracy > 0.85  # untreated between 0.1 and 0.8
    (done, *_) = interventions(monitor)
    assert (done.rule, done.action) == (rule, "rescue")
    assert "try 1 of at most 3" in done.message
    # Nothing is trained on less: the batch that was looked at is trained on as well.
    dropped = 3 if rule == "nonfinite" else 0
    steps = ill.EPOCHS * ill.ROWS // ill.BATCH
    assert int(model.optimizer.iterations) == steps - dropped


def raw():
    x, y = ill.digits(ill.ROWS // 8)
    # Each pixel in a unit of its own, far from 0.
    unit = np.geomspace(10, 2000, x.shape[-1])[np.random.default_rng(1).permutation(64)]
    return (x * unit + 2 * unit).astype("float32"), y


@pytest.mark.parametrize("jit", [False, True])
def test_inputs_that_are_not_scaled(jit, tmp_path):
    x, y = raw()
    model = compiled(ill.healthy, jit_compile=jit)
    monitor = treating("rescue")
    options = {"batch_size": ill.BATCH, "epochs": ill.EPOCHS, "verbose": 0}
    model.fit(x, y, callbacks=[monitor], **options)
    (done, *_) = interventions(monitor)
    assert done.cause == "unscaled_inputs"
    assert "rewrote the layers that see the data" in done.message
    assert "makes their updates from now on as for such data" in done.message
    # The weights are those of the raw inputs, with and without the monitor.
    accuracy = np.mean(model(x).numpy().argmax(axis=-1) == y)
    assert accuracy > 0.85
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(x), model(x))
    # What the optimizer remembers of them is not of other inputs.
    places = {v.path: i for i, v in enumerate(model.optimizer._trainable_variables)}
    place = places[model.layers[0].kernel.path]
    assert not np.any(model.optimizer._momentums[place].numpy())


@pytest.mark.parametrize("jit", [False, True])
def test_rows_that_are_far_out_are_kept_out(jit):
    def hidden():
        return [layers.Dense(24, "relu") for _ in range(2)]

    x, y = ill.digits(ill.ROWS // 8)
    x, rows = x.copy(), [500, 510, 630]
    x[rows] = 5e3 * np.sign(np.random.default_rng(0).normal(size=(len(rows), 64)))
    model = compiled(hidden, keras.optimizers.SGD(0.1), jit_compile=jit)
    monitor = treating("rescue")
    options = {"batch_size": ill.BATCH, "epochs": 12, "shuffle": False}
    model.fit(x, y, callbacks=[monitor], verbose=0, **options)
    good = np.delete(np.arange(len(x)), rows)
    predicted = model(x[good]).numpy().argmax(axis=-1)
    assert np.mean(predicted == y[good]) > 0.91  # 0.95 without them, clipped 0.90
    found, done = monitor.findings  # once, though every epoch has them
    assert (found.rule, found.cause) == ("exploding_gradient", "bad_data")
    assert found.step == done.step == 16
    assert "dropped this update, and will drop those of such batches" in done.message
    assert float(model.optimizer.learning_rate) == pytest.approx(0.1)


def test_exponentials_that_overflow():
    def hidden():
        large = keras.initializers.RandomNormal(stddev=3.0, seed=1)
        options = {"activation": "exponential", "kernel_initializer": large}
        return [layers.Dense(8, **options) for _ in range(2)]

    monitor = treating("rescue")
    model = compiled(hidden, keras.optimizers.Adam(3e-3))
    fit(model, monitor)
    (done, *_) = interventions(monitor)
    assert "as though the inputs" in done.message
    x, y = ill.digits(ill.ROWS // 8)
    # What was learnt is in the weights, not in bounds that only training knows.
    assert np.mean(model(x).numpy().argmax(axis=-1) == y) > 0.7


def test_a_learning_rate_that_is_too_high(tmp_path):
    monitor = treating("rescue", log_dir=tmp_path)
    model = compiled(ill.healthy, keras.optimizers.SGD(50.0))
    accuracy = fit(model, monitor, epochs=12)["accuracy"][-1]
    assert accuracy > 0.85
    assert float(model.optimizer.learning_rate) <= 5.0 * 1.01
    (done, *_) = interventions(monitor)
    assert "restored the weights and slots of step" in done.message
    assert "lowered the learning rate from 50 to 0.5" in done.message
    # Interventions are in TensorBoard like any finding.
    texts = [text for _, text in Board(tmp_path).text(f"findings/{done.rule}")]
    assert any("rescue, try 1" in text for text in texts)


def test_a_rate_hundreds_of_times_too_high():
    monitor = treating("rescue")
    model = compiled(ill.healthy, keras.optimizers.Adam(1.0))
    assert fit(model, monitor)["accuracy"][-1] > 0.85  # untreated 0.1


def test_a_callback_does_not_raise_the_rate_again():
    monitor = treating("rescue")
    model = compiled(ill.healthy, keras.optimizers.SGD(50.0))
    raising = keras.callbacks.LearningRateScheduler(lambda epoch: 50.0)
    accuracy = fit(model, monitor, epochs=12, callbacks=[raising])["accuracy"][-1]
    assert accuracy > 0.85
    assert float(model.optimizer.learning_rate) <= 5.0 * 1.01


@pytest.mark.parametrize("jit", [False, True])
def test_nothing_is_lost_that_was_learnt_before_a_callback_raised_the_rate(jit):
    epochs, steps = 3, ill.ROWS // ill.BATCH
    rates = [0.1] * epochs + [300.0] * epochs
    raising = keras.callbacks.LearningRateScheduler(lambda epoch: rates[epoch])
    monitor = treating("rescue", every=7)
    model = compiled(ill.healthy, keras.optimizers.SGD(0.1), jit_compile=jit)
    losses = fit(model, monitor, epochs=2 * epochs, callbacks=[raising])["loss"]
    (done, *_) = interventions(monitor)
    assert f"restored the weights and slots of step {epochs * steps}" in done.message
    assert "lowered the learning rate from 300 to 0.1" in done.message
    assert float(model.optimizer.learning_rate) == pytest.approx(0.1)
    assert losses[-1] < losses[epochs - 1]


@pytest.mark.parametrize(
    ("hidden", "policy", "jit"),
    [
        (ill.healthy, "float32", False),
        (ill.normalised, "mixed_float16", False),
        (ill.normalised, "float32", True),
    ],
)
def test_a_healthy_run_keeps_its_bits(hidden, policy, jit):
    keras.config.set_dtype_policy(policy)
    try:
        states, logs = [], []
        for monitor in (None, treating("rescue")):
            model = compiled(hidden, jit_compile=jit)
            history = fit(model, monitor, rows=144, epochs=2)
            states.append(state(model))
            logs.append((history["loss"], history["accuracy"]))
    finally:
        keras.config.set_dtype_policy("float32")
    assert monitor.findings == []
    assert logs[0] == logs[1]
    for one, other in zip(*states, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("hidden", [ill.healthy, ill.saturated])
def test_under_a_mirrored_strategy_of_one(hidden):
    results = []
    for monitor in (None, treating("rescue")):
        with tf.distribute.MirroredStrategy(["/cpu:0"]).scope():
            model = compiled(hidden)
        accuracy = fit(model, monitor, epochs=4)["accuracy"][-1]
        results.append((state(model), accuracy))
    (plain, ill_accuracy), (rescued, accuracy) = results
    if hidden is ill.healthy:
        assert not monitor.findings
        assert all(np.array_equal(*pair) for pair in zip(plain, rescued, strict=True))
    else:
        assert interventions(monitor)
        assert accuracy > ill_accuracy + 0.2
    with pytest.raises(ValueError, match="under MirroredStrategy in a training loop"):
        treating("rescue").attach(model).__enter__()


def test_under_xla():
    monitor = treating("rescue")
    model = compiled(ill.healthy, keras.optimizers.SGD(50.0), jit_compile=True)
    assert fit(model, monitor, epochs=12)["accuracy"][-1] > 0.85
    (done, *_) = interventions(monitor)
    assert "clips gradients to the global norm" in done.message


def test_in_mixed_precision():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = compiled(ill.dead)
    finally:
        keras.config.set_dtype_policy("float32")
    monitor = treating("rescue")
    assert fit(model, monitor)["accuracy"][-1] > 0.8
    assert interventions(monitor)[0].rule == "dead_units"


def test_nothing_is_left(tmp_path):
    schedule = keras.optimizers.schedules.ExponentialDecay(50.0, 1000, 0.9)
    monitor = treating("rescue")
    model = compiled(ill.healthy, keras.optimizers.SGD(schedule))
    fit(model, monitor, epochs=3)
    (done, *_) = interventions(monitor)
    assert "multiplied the learning rate schedule by 0.01 for this fit" in done.message
    for owner in (model, model.optimizer, *model.layers):
        assert not HOOKS & set(vars(owner))
    assert model.optimizer._learning_rate is schedule
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.optimizer._learning_rate.get_config() == schedule.get_config()
    keras.models.clone_model(model)


def test_a_run_that_cannot_be_helped_is_stopped_and_told_what_was_tried():
    class Overflow(keras.layers.Layer):
        def build(self, shape):
            self.calls = self.add_weight(initializer="zeros", trainable=False)

        def call(self, x, training=False):
            if training:  # a step that is dropped does not count
                self.calls.assign_add(1.0)
            return x / keras.ops.where(self.calls > 5, 0 * x, 1.0)

    monitor = treating("rescue")
    model = compiled(lambda: [keras.layers.Dense(4), Overflow()])
    fit(model, monitor)
    *_, last = monitor.findings
    assert (last.rule, last.action) == ("nonfinite", "stop")
    assert "so training stops. Tried: restored the weights" in last.message
    assert len(interventions(monitor)) == 3
    assert last.step < 40


def test_an_illness_found_at_the_end_of_an_epoch_is_treated_in_the_next():
    monitor = treating("rescue", every=1, rules=[ka.rules.Saturation(patience=5)])
    model = compiled(ill.saturated)
    fit(model, monitor, rows=5 * ill.BATCH, epochs=2)
    found, done = monitor.findings[:2]
    assert (found.step, found.epoch) == (5, 0)
    assert (done.step, done.action) == (5, "rescue")
    assert int(model.optimizer.iterations) == 10


class Pairs(keras.Model):
    """Trained on dicts of which its own `train_step` makes what it is called with."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def call(self, inputs):
        left, right = inputs
        return self.model(left + right)

    def train_step(self, data):
        inputs = (data["x"], keras.ops.zeros_like(data["x"]))
        return super().train_step((inputs, data["y"]))


@pytest.mark.parametrize("hidden", [ill.dead, ill.vanishing])
def test_batches_that_only_its_own_train_step_understands(hidden):
    model = Pairs(compiled(hidden))
    model.compile("adam", "sparse_categorical_crossentropy")
    x, y = ill.digits(20)
    data = tf.data.Dataset.from_tensor_slices({"x": x, "y": y}).batch(ill.BATCH)
    monitor = treating("rescue")
    model.fit(data.repeat(3), callbacks=[monitor], shuffle=False, verbose=0)
    assert monitor.findings
    assert any("cannot be called on a batch" in f.message for f in monitor.findings)


def test_without_an_end_of_tries_another_fit_begins_anew():
    monitor = treating("rescue")
    model = compiled(ill.saturated)
    for _ in range(2):
        fit(model, monitor, epochs=2)
    assert monitor.findings == []


@pytest.mark.parametrize("with_inputs", [True, False])
def test_in_a_loop_by_hand(with_inputs):
    model = compiled(ill.saturated)
    monitor = treating("rescue", every=1)
    x, y = ill.digits(8)
    with monitor.attach(model):
        for _ in range(6):
            model.train_on_batch(x, y)
            monitor.step(x if with_inputs else None)
    done = [f for f in monitor.findings if "rescue" in f.message]
    if with_inputs:
        assert "try 1 of at most 3: restored the weights" in done[0].message
        assert "scaled the weights of" in done[0].message
    else:
        assert "give `step` the inputs" in done[0].message
        assert all(f.action == "warn" for f in done)


@pytest.mark.parametrize("way", ["jit_compile", "run_eagerly", None])
def test_weights_that_the_first_step_creates_are_put_back(way):
    x, _ = ill.digits(ill.ROWS // 8)
    y = 2e4 * (x[:, 20:21] - x[:, 28:29] + 1)

    def trained(*before):
        keras.utils.set_random_seed(0)
        stack = layers.Dense(32, "relu"), layers.Dense(1)
        model = keras.Sequential([*before, *stack])
        options = {way: True} if way else {}
        model.compile(keras.optimizers.SGD(0.03), "mse", **options)
        monitor = treating("rescue")
        model.fit(x, y, batch_size=ill.BATCH, verbose=0, callbacks=[monitor])
        (done, *_) = interventions(monitor)
        assert (done.step, done.cause) == (1, "unscaled_targets")
        assert "restored the weights and slots of step 0" in done.message
        return model

    built = trained(keras.Input((64,)))
    for one, other in zip(trained().weights, built.weights, strict=True):
        np.testing.assert_array_equal(one, other)


def rescued(model):
    """The monitor of a rescue, eagerly: tracing would take most of the time."""
    monitor = treating("rescue")
    regress(model, monitor)
    return monitor


def regress(model, monitor=None):
    x, y = ill.digits(40)
    model.compile("sgd", "mse", run_eagerly=True)
    callbacks = [monitor] if monitor else []
    y = y[:, None].astype("float32")
    model.fit(x, y, batch_size=ill.BATCH, shuffle=False, verbose=0, callbacks=callbacks)


def test_targets_out_of_reach_are_left_to_the_user():
    def network():
        keras.utils.set_random_seed(1)
        return keras.Sequential([keras.Input((64,)), layers.Dense(1, "tanh")])

    plain, model = network(), network()
    regress(plain)
    found, refused = rescued(model).findings
    assert found.rule == refused.rule == "saturation"
    assert refused.action == "warn"
    assert "cannot be rescued by rescaling: whatever the weights" in refused.message
    for one, other in zip(state(plain), state(model), strict=True):
        np.testing.assert_array_equal(one, other)


class Logarithm(layers.Layer):
    """NaN in every step, and in the first one already."""

    def call(self, x):
        return keras.ops.log(x - 2.0)


def test_what_was_never_learnt_is_not_to_blame():
    model = keras.Sequential([keras.Input((64,)), Logarithm(), layers.Dense(1)])
    before = [v.numpy() for v in model.variables]
    monitor = rescued(model)
    stop = monitor.findings[-1]
    assert (stop.step, stop.action) == (4, "stop")  # it looks at one more batch
    assert "no update has been made yet" in stop.message
    assert [f.action for f in monitor.findings] == ["rescue", "rescue", "stop"]
    for one, other in zip(before, model.variables, strict=True):
        np.testing.assert_array_equal(one, other.numpy())


class OwnOptimizer(keras.Model):
    """Trains with an optimizer that `compile` does not know of."""

    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(1)
        self.own = keras.optimizers.SGD(1e30)

    def call(self, x):
        return self.dense(x)

    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            loss = keras.ops.mean((self(x) - y) ** 2)
        weights = self.trainable_variables
        self.own.apply(tape.gradient(loss, weights), weights)
        return {"loss": loss}


def test_updates_of_another_optimizer_are_out_of_reach():
    stop = rescued(OwnOptimizer()).findings[-1]
    assert stop.action == "stop"
    assert "not made by the optimizer that the model was compiled with" in stop.message
