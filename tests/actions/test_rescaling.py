"""Rescaling, on every kind of layer, before every kind of activation."""

import functools

import keras
import numpy as np
import pytest
from keras import layers

from keras_activations.actions.rescaling import rescale

# Pre-activations far from 0 and far too great, in every unit.
WIDE = keras.initializers.RandomNormal(stddev=4.0, seed=1)
FAR = keras.initializers.Constant(-9.0)
ROWS = 32


def images(rank):
    shape = (ROWS, *[6] * rank, 3)
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def weighted(layer, **options):
    """A layer of that kind with weights too large and a bias too low."""
    kernels = {
        "DepthwiseConv1D": "depthwise_initializer",
        "DepthwiseConv2D": "depthwise_initializer",
        "SeparableConv1D": "pointwise_initializer",
        "SeparableConv2D": "pointwise_initializer",
    }
    kernel = kernels.get(layer.__name__, "kernel_initializer")
    if options.get("use_bias", True) and options.get("bias_axes", "c"):
        options["bias_initializer"] = FAR
    return lambda **more: layer(**{kernel: WIDE}, **options, **more)


KINDS = {
    "Dense": (0, weighted(layers.Dense, units=4)),
    "Dense on images": (2, weighted(layers.Dense, units=4)),
    "Conv1D": (1, weighted(layers.Conv1D, filters=4, kernel_size=3)),
    "Conv2D": (2, weighted(layers.Conv2D, filters=4, kernel_size=3)),
    "grouped": (2, weighted(layers.Conv2D, filters=6, kernel_size=3, groups=3)),
    "Conv3D": (3, weighted(layers.Conv3D, filters=4, kernel_size=3)),
    "Conv1DTranspose": (1, weighted(layers.Conv1DTranspose, filters=4, kernel_size=3)),
    "Conv2DTranspose": (2, weighted(layers.Conv2DTranspose, filters=4, kernel_size=3)),
    "Conv3DTranspose": (3, weighted(layers.Conv3DTranspose, filters=4, kernel_size=3)),
    "DepthwiseConv1D": (1, weighted(layers.DepthwiseConv1D, kernel_size=3)),
    "DepthwiseConv2D": (
        2,
        weighted(layers.DepthwiseConv2D, kernel_size=3, depth_multiplier=2),
    ),
    "SeparableConv1D": (1, weighted(layers.SeparableConv1D, filters=4, kernel_size=3)),
    "SeparableConv2D": (2, weighted(layers.SeparableConv2D, filters=4, kernel_size=3)),
    "EinsumDense": (
        1,
        weighted(
            layers.EinsumDense,
            equation="abc,cde->aebd",
            output_shape=(5, 6, 4),
            bias_axes="ed",
        ),
    ),
    "EinsumDense, ellipsis": (
        2,
        weighted(
            layers.EinsumDense,
            equation="...c,cd->...d",
            output_shape=(4,),
            bias_axes="d",
        ),
    ),
    "EinsumDense, one bias for all heads": (
        1,
        weighted(
            layers.EinsumDense,
            equation="abc,cde->abde",
            output_shape=(6, 4, 5),
            bias_axes="e",
        ),
    ),
}
SEPARATE = [("fused", []), ("separate", []), ("separate", [layers.Dropout])]
# Each unit by itself, as `EinsumDense` has them on two axes.
UNIT_AXES = {"EinsumDense": (1, 3), "EinsumDense, one bias for all heads": (3,)}


def network(make, rank, where, between=(), activation="tanh"):
    inputs = keras.Input(images(rank).shape[1:])
    if where == "fused":
        x = make(activation=activation, name="hidden")(inputs)
        pre = None
    else:
        x = pre = make(name="hidden")(inputs)
        for layer in between:
            x = layer(rate=0.1)(x) if layer is layers.Dropout else layer(name="norm")(x)
        x = layers.Activation(activation)(x)
    model = keras.Model(inputs, layers.Dense(2, name="head")(layers.Flatten()(x)))
    return model, pre


def pre_activation(model, name, x):
    layer = model.get_layer(name)
    activation = getattr(layer, "activation", None)
    if activation is not None:
        vars(layer)["activation"] = keras.activations.linear
    inputs = model.inputs[0]
    values = keras.Model(inputs, layer(layer.input))(x, training=True).numpy()
    if activation is not None:
        vars(layer)["activation"] = activation
    return values


def assert_standard(values, axes, with_bias=True):
    others = tuple(i for i in range(values.ndim) if i not in axes)
    values = values.astype("float64")
    if with_bias:
        np.testing.assert_allclose(values.mean(others), 0, atol=1e-3)
        np.testing.assert_allclose(values.std(others), 1, rtol=1e-3)
    else:
        np.testing.assert_allclose((values**2).mean(others), 1, rtol=1e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_every_unit_has_mean_0_and_deviation_1(kind):
    rank, make = KINDS[kind]
    model, _ = network(make, rank, "fused")
    x = images(rank)
    done = rescale(model, None, x)
    assert (done.paths, done.refused) == (["hidden"], {})
    values = pre_activation(model, "hidden", x)
    axes = UNIT_AXES.get(kind, (values.ndim - 1,))
    assert_standard(values, axes)
    assert rescale(model, None, x).paths == []


@pytest.mark.parametrize("kind", ["Dense", "Conv2D", "DepthwiseConv2D"])
def test_without_a_bias_the_mean_square_is_1(kind):
    options = {
        "Dense": {"units": 4},
        "Conv2D": {"filters": 4, "kernel_size": 3},
        "DepthwiseConv2D": {"kernel_size": 3},
    }[kind]
    rank, make = (
        KINDS[kind][0],
        weighted(getattr(layers, kind), use_bias=False, **options),
    )
    model, _ = network(make, rank, "fused")
    x = images(rank)
    assert rescale(model, None, x).paths == ["hidden"]
    values = pre_activation(model, "hidden", x)
    assert_standard(values, (values.ndim - 1,), with_bias=False)


@pytest.mark.parametrize("between", [[], [layers.Dropout]])
@pytest.mark.parametrize("kind", ["Dense", "Conv2D"])
def test_a_separate_activation(kind, between):
    rank, make = KINDS[kind]
    model, _ = network(make, rank, "separate", between, "relu")
    x = images(rank)
    assert rescale(model, None, x).paths == ["hidden"]
    values = pre_activation(model, "hidden", x)
    assert_standard(values, (values.ndim - 1,))


@pytest.mark.parametrize("norm", [layers.BatchNormalization, layers.LayerNormalization])
@pytest.mark.parametrize("kind", ["Dense", "Conv2D"])
def test_a_normalisation_before_the_activation_is_what_is_scaled(kind, norm):
    rank, make = KINDS[kind]
    model, _ = network(make, rank, "separate", [norm], "relu")
    layer = model.get_layer("norm")
    layer.beta.assign(-7 * keras.ops.ones_like(layer.beta))
    layer.gamma.assign(5 * keras.ops.ones_like(layer.gamma))
    kernel = model.get_layer("hidden").get_weights()[0]
    averages = [v.numpy() for v in layer.non_trainable_weights]
    x = images(rank)
    assert rescale(model, None, x).paths == ["norm"]
    values = pre_activation(model, "norm", x)
    assert_standard(values, (values.ndim - 1,))
    np.testing.assert_array_equal(model.get_layer("hidden").get_weights()[0], kernel)
    after = model.get_layer("norm").non_trainable_weights
    assert len(averages) == len(after)


@pytest.mark.parametrize("kind", [layers.SimpleRNN, layers.LSTM, layers.GRU])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_recurrent_layers(kind, bidirectional):
    layer = kind(5, kernel_initializer=WIDE, recurrent_initializer=WIDE)
    layer = layers.Bidirectional(layer) if bidirectional else layer
    model = keras.Sequential([keras.Input((6, 3)), layer, layers.Dense(2)])
    x = images(1)
    done = rescale(model, None, x)
    assert len(done.paths) == 1 + bidirectional
    assert not done.refused
    for rnn in (
        [layer.forward_layer, layer.backward_layer] if bidirectional else [layer]
    ):
        cell = rnn.cell
        added = (x @ cell.kernel.numpy()).reshape(-1, cell.kernel.shape[1])
        # As Glorot's initialiser makes it: 3 inputs of deviation 1, 5 units.
        np.testing.assert_allclose(added.std(axis=0), np.sqrt(6 / 8), rtol=1e-3)
        for gate in np.split(
            cell.recurrent_kernel.numpy(), cell.kernel.shape[1] // 5, axis=1
        ):
            assert np.abs(np.linalg.eigvals(gate)).max() <= 1 + 1e-5
    assert rescale(model, None, x).paths == []


def test_a_forget_gate_stays_open():
    layer = layers.LSTM(5, kernel_initializer=WIDE)
    model = keras.Sequential([keras.Input((6, 3)), layer])
    rescale(model, None, images(1) + 2, also=[layer.path])
    x = (images(1) + 2) @ layer.cell.kernel.numpy() + layer.cell.bias.numpy()
    means = x.reshape(-1, 4, 5).mean(axis=(0, 2))
    np.testing.assert_allclose(means, [0, 1, 0, 0], atol=1e-3)


def test_layers_see_inputs_that_are_treated_already():
    make = KINDS["Dense"][1]
    hidden = [make(activation="tanh", name=f"hidden_{i}") for i in range(4)]
    model = keras.Sequential([keras.Input((3,)), *hidden, layers.Dense(2)])
    x = images(0)
    assert len(rescale(model, None, x).paths) == 4
    for i in range(4):
        assert_standard(pre_activation(model, f"hidden_{i}", x), (1,))


def test_units_of_a_sound_size_are_left_alone():
    model, _ = network(weighted(layers.Dense, units=4), 0, "fused")
    hidden = model.get_layer("hidden")
    kernel = np.float32(np.eye(3, 4) + 0.5)
    hidden.set_weights([kernel, np.float32([0.1, -0.1, 0.0, -50.0])])
    rescale(model, None, images(0))
    after, bias = hidden.get_weights()
    np.testing.assert_array_equal(after[:, :3], kernel[:, :3])
    np.testing.assert_array_equal(bias[:3], np.float32([0.1, -0.1, 0.0]))
    assert abs(bias[3]) < 1


@pytest.mark.parametrize("initializer", ["glorot_uniform", "zeros"])
def test_units_that_are_constant_are_drawn_anew(initializer):
    hidden = layers.Dense(4, "relu", kernel_initializer=initializer, name="hidden")
    model = keras.Sequential([keras.Input((3,)), hidden, layers.Dense(2)])
    hidden.kernel.assign(0 * hidden.kernel)
    x = images(0)
    rescale(model, None, x)
    assert_standard(pre_activation(model, "hidden", x), (1,))


@pytest.mark.parametrize(
    "kind", [layers.Dense, functools.partial(layers.Conv1D, kernel_size=2)]
)
def test_units_that_are_all_alike_are_told_apart(kind):
    hidden = kind(6, activation="tanh", kernel_initializer="ones", name="hidden")
    x = np.random.default_rng(0).normal(size=(ROWS, 5, 3)).astype("float32")
    model = keras.Sequential([keras.Input((5, 3)), hidden, layers.Dense(2)])
    rescale(model, None, x)
    values = pre_activation(model, "hidden", x)
    assert np.all(np.abs(np.std(values, axis=(0, 1)) - 1) <= 1.0)
    alike = np.corrcoef(np.reshape(values, (-1, 6)).T) - np.eye(6)
    assert np.abs(alike).max() < 0.999


def test_the_output_layer_is_left_alone_unless_it_is_ill_itself():
    output = weighted(layers.Dense, units=4)(activation="sigmoid", name="output")
    model = keras.Sequential([keras.Input((3,)), output])
    x = images(0)
    assert rescale(model, None, x).paths == []
    assert rescale(model, None, x, also=[output.path]).paths == [output.path]


def test_a_residual_branch_and_a_layer_used_twice():
    inputs = keras.Input((4,))
    shared = weighted(layers.Dense, units=4)(activation="tanh", name="shared")
    x = shared(shared(inputs) + inputs)
    model = keras.Model(inputs, layers.Dense(2)(x + inputs))
    x = np.random.default_rng(0).normal(size=(ROWS, 4)).astype("float32")
    assert rescale(model, None, x).paths == ["shared"]


def test_what_cannot_be_treated_is_said():
    inputs = keras.Input((3,))
    frozen = layers.Dense(4, "tanh", kernel_initializer=WIDE, name="frozen")
    frozen.trainable = False
    x = layers.Activation("tanh", name="first")(inputs)
    x = layers.Reshape((4, 1))(frozen(x))
    cell = layers.StackedRNNCells([layers.LSTMCell(2)])
    model = keras.Model(inputs, layers.Dense(1)(layers.RNN(cell, name="stack")(x)))
    done = rescale(model, None, images(0))
    assert done.paths == []
    assert done.refused == {
        "first": "nothing that can be scaled comes before it",
        "frozen": "it is frozen",
        "stack": "the cell StackedRNNCells is not known",
    }


def test_nothing_of_the_pass_is_left():
    model, _ = network(KINDS["Conv2D"][1], 2, "separate", [layers.BatchNormalization])
    averages = [v.numpy() for v in model.non_trainable_variables]
    rescale(model, None, images(2))
    for value, variable in zip(averages, model.non_trainable_variables, strict=True):
        np.testing.assert_array_equal(value, variable.numpy())
    assert not any("call" in vars(layer) for layer in model._flatten_layers())
    keras.models.clone_model(model)


def test_the_slots_of_changed_weights_start_anew():
    model, _ = network(KINDS["Dense"][1], 0, "fused")
    model.compile("adam", "mse")
    x = images(0)
    model.fit(x, x[:, :2], verbose=0)
    rescale(model, model.optimizer, x)
    slots = {v.path: np.abs(v.numpy()).max() for v in model.optimizer.variables[2:]}
    for path, size in slots.items():
        assert (size == 0) == ("hidden" in path), path


def test_layers_without_an_activation_if_asked_for():
    def built():
        keras.utils.set_random_seed(1)
        hidden = [layers.Dense(8, kernel_initializer=WIDE) for _ in range(3)]
        return keras.Sequential([keras.Input((5,)), *hidden, layers.Dense(2)])

    x = np.random.default_rng(0).normal(size=(ROWS, 5)).astype("float32")
    model = built()
    assert rescale(model, None, x).paths == []
    paths = [layer.path for layer in model.layers[:3]]
    assert rescale(model, None, x, paths).paths == paths
    outputs = keras.Model(
        model.inputs[0], [layer.output for layer in model.layers[:3]]
    )(x)
    for output in outputs:
        np.testing.assert_allclose(np.mean(output, axis=0), 0.0, atol=1e-3)
        np.testing.assert_allclose(np.std(output, axis=0), 1.0, atol=1e-2)
    frozen = built()
    frozen.layers[0].trainable = False
    paths = [layer.path for layer in frozen.layers[:3]]
    assert rescale(frozen, None, x, paths).paths == paths[1:]


@pytest.mark.parametrize(("size", "changed"), [(50.0, True), (0.05, False)])
def test_embeddings_that_are_far_too_large(size, changed):
    initializer = keras.initializers.RandomUniform(-size, size, seed=1)
    table = layers.Embedding(20, 4, embeddings_initializer=initializer)
    model = keras.Sequential([keras.Input((6,), dtype="int32"), table, layers.LSTM(3)])
    before = table.embeddings.numpy()
    done = rescale(model, None, np.arange(24).reshape(4, 6) % 20)
    assert (table.path in done.paths) == changed
    after = table.embeddings.numpy()
    expected = before / before.std() if changed else before
    np.testing.assert_allclose(after, expected, rtol=1e-5)
