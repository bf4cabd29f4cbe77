"""The four layers: configuration, saving, exporting, masks, policies."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_activations import activations
from keras_activations.activations import functional

LAYERS = {
    "clipped_tanh": lambda **kwargs: activations.ClippedTanh(
        2.0, outside_gradient="inward", **kwargs
    ),
    "clipped_tanh_default": activations.ClippedTanh,
    "relu6": activations.ReLU6,
    "hard_swish": activations.HardSwish,
    "stable_gelu": activations.StableGELU,
    "stable_gelu_approximate": lambda **kwargs: activations.StableGELU(True, **kwargs),
}
TWINS = {
    "clipped_tanh": lambda x: functional.clipped_tanh(x, 2.0),
    "clipped_tanh_default": functional.clipped_tanh,
    "relu6": functional.relu6,
    "hard_swish": functional.hard_swish,
    "stable_gelu": functional.stable_gelu,
    "stable_gelu_approximate": lambda x: functional.stable_gelu(x, approximate=True),
}
FUNCTIONS = (
    functional.clipped_tanh,
    functional.relu6,
    functional.hard_swish,
    functional.stable_gelu,
)
each_layer = pytest.mark.parametrize("name", LAYERS)
each_function = pytest.mark.parametrize("function", FUNCTIONS)


@pytest.fixture
def x():
    return np.random.default_rng(0).normal(0, 4, (8, 5)).astype("float32")


def models(layer):
    keras.utils.set_random_seed(0)
    yield keras.Sequential([keras.Input((5,)), keras.layers.Dense(4), layer])
    inputs = keras.Input((5,))
    yield keras.Model(inputs, keras.layers.Add()([inputs, layer(inputs)]))


@each_layer
def test_a_layer_applies_its_function(name, x):
    layer = LAYERS[name]()
    np.testing.assert_array_equal(layer(x), TWINS[name](x))
    assert layer.compute_output_shape((None, 3, None)) == (None, 3, None)
    assert layer.compute_output_spec(keras.KerasTensor((None, 3))).shape == (None, 3)


@each_layer
def test_config_round_trip(name):
    layer = LAYERS[name](name="mine", dtype="float64")
    twin = type(layer).from_config(layer.get_config())
    assert twin.get_config() == layer.get_config()
    restored = keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(layer)
    )
    assert type(restored) is type(layer)
    assert restored.get_config() == layer.get_config()


def test_config_holds_the_options():
    config = activations.ClippedTanh(2, "straight_through").get_config()
    assert (config["limit"], config["outside_gradient"]) == (2.0, "straight_through")
    assert activations.StableGELU(True).get_config()["approximate"] is True


@each_layer
def test_save_and_load(name, x, tmp_path):
    for model in models(LAYERS[name]()):
        expected = model.predict(x, verbose=0)
        model.save(tmp_path / "model.keras")
        loaded = keras.models.load_model(tmp_path / "model.keras")
        np.testing.assert_array_equal(loaded.predict(x, verbose=0), expected)


@each_layer
def test_export_and_reload(name, x, tmp_path):
    for index, model in enumerate(models(LAYERS[name]())):
        path = str(tmp_path / str(index))
        model.export(path, verbose=False)
        reloaded = tf.saved_model.load(path)
        expected = model.predict(x, verbose=0)
        np.testing.assert_allclose(reloaded.serve(x), expected, rtol=1e-6)


@each_layer
def test_mask_passes_through(name):
    embedded = keras.layers.Embedding(4, 3, mask_zero=True)(np.array([[1, 2, 0]]))
    outputs = LAYERS[name]()(embedded)
    mask = keras.src.backend.get_keras_mask(outputs)
    np.testing.assert_array_equal(mask, [[True, True, False]])


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float64"])
@pytest.mark.parametrize("jit_compile", [False, True])
def test_policies_train(policy, jit_compile, x):
    keras.utils.set_random_seed(0)
    layers = [make(dtype=policy) for make in LAYERS.values()]
    blocks = [(keras.layers.Dense(5, dtype=policy), layer) for layer in layers]
    model = keras.Sequential([keras.Input((5,)), *(b for pair in blocks for b in pair)])
    model.compile("sgd", "mse", jit_compile=jit_compile)
    history = model.fit(x, np.zeros((8, 5)), epochs=2, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    for layer in layers:
        assert layer(x).dtype == policy.removeprefix("mixed_")


@each_layer
def test_a_built_layer_has_a_path(name):
    # Keras's own activation layers count as built from the start and have none.
    layer = LAYERS[name](name="mine")
    keras.Sequential([keras.Input((5,)), layer], name="model")
    assert layer.built
    assert layer.path == "model/mine"


@each_function
def test_fused_into_layers_and_reloaded(function, tmp_path):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((6, 6, 1)),
            keras.layers.Conv2D(3, 3, activation=function),
            keras.layers.Flatten(),
            keras.layers.Dense(4, activation=function),
            keras.layers.Activation(function),
        ]
    )
    x = np.random.default_rng(0).normal(0, 3, (4, 6, 6, 1)).astype("float32")
    expected = model.predict(x, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    for index in (0, 2, 3):
        assert loaded.layers[index].activation is function
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), expected)
    twin = keras.models.clone_model(model)
    assert twin.layers[2].activation is function


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: activations.ClippedTanh(0), "positive, finite.*Received: limit=0"),
        (
            lambda: activations.ClippedTanh(outside_gradient="none"),
            "one of.*Received: outside_gradient='none'",
        ),
        (
            lambda: activations.ClippedTanh(4.5, dtype="mixed_float16"),
            "float16.*at most 4.15.*Received: limit=4.5",
        ),
        (
            lambda: activations.StableGELU("tanh"),
            "True or False.*Received: approximate='tanh'",
        ),
    ],
)
def test_bad_options_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_inward_gradients_bring_a_saturated_unit_back():
    x = tf.constant([[1.0]])

    def weight_after(option):
        dense = keras.layers.Dense(1, kernel_initializer=keras.initializers.Constant(5))
        layer = activations.ClippedTanh(outside_gradient=option)
        model = keras.Sequential([keras.Input((1,)), dense, layer])
        model.compile(keras.optimizers.Adam(0.3), "mse")
        model.fit(x, tf.zeros((1, 1)), epochs=10, verbose=0)
        return float(dense.kernel[0, 0])

    assert weight_after("zero") == 5.0
    assert weight_after("inward") < 3.0
