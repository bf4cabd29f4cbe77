"""Which layers are sampled, at any depth of every kind of model."""

import keras
import pytest

import keras_activations as ka
from keras_activations.telemetry.selection import check_patterns, selector
from keras_activations.telemetry.taps import all_layers

layers = keras.layers


class Block(keras.layers.Layer):
    """A composite: its inner layers in an attribute, a list and a dict."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.first = layers.Dense(4, "tanh", name="first")
        self.middle = [layers.Dense(4, name="linear"), layers.ReLU(name="relu")]
        self.last = {"gelu": layers.Activation("gelu", name="gelu")}

    def call(self, x):
        x = self.first(x)
        for layer in self.middle:
            x = layer(x)
        return self.last["gelu"](x)


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__(name="subclassed")
        self.block = Block(name="block")
        self.head = layers.Dense(1, name="head")

    def call(self, x):
        return self.head(self.block(x))


def sequential():
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(4, 3, activation=ka.functional.hard_swish, name="conv"),
            layers.BatchNormalization(name="norm"),
            ka.ClippedTanh(name="clipped_tanh"),
            layers.Dropout(0.1, name="dropout"),
            layers.Flatten(name="flatten"),
            layers.LeakyReLU(name="leaky"),
            layers.Dense(4, activation=lambda x: x * x, name="square"),
            layers.Dense(2, activation="linear", name="linear"),
            layers.Softmax(name="softmax"),
        ]
    )


def recurrent():
    x = inputs = keras.Input((5, 3))
    x = layers.LSTM(4, return_sequences=True, name="lstm")(x)
    both = layers.Bidirectional(layers.GRU(4, return_sequences=True, name="gru"))
    both.name = "both"
    x = both(x)
    cells = [layers.SimpleRNNCell(4), layers.LSTMCell(4)]
    x = layers.RNN(cells, return_sequences=True, name="stacked")(x)
    x = layers.TimeDistributed(layers.Dense(4, "relu", name="each"), name="time")(x)
    return keras.Model(inputs, layers.Dense(1, name="head")(x), name="recurrent")


def nested():
    inner = keras.Sequential(
        [keras.Input((4,)), layers.Dense(4, "relu", name="dense")], name="inner"
    )
    x = inputs = keras.Input((4,))
    shared = layers.Dense(4, "sigmoid", name="dense")
    x = shared(shared(inner(x)))
    x = layers.Add(name="add")([x, Block(name="block")(x)])
    return keras.Model(inputs, x, name="nested")


MODELS = {
    "sequential": (
        sequential,
        ["conv", "clipped_tanh", "leaky", "square", "softmax"],
        ["norm", "dropout", "flatten", "linear"],
    ),
    "recurrent": (
        recurrent,
        ["lstm", "forward_gru", "backward_gru", "stacked", "each"],
        ["head"],
    ),
    "nested": (nested, ["dense", "first", "relu", "gelu", "dense"], ["linear", "add"]),
    "subclassed": (Subclassed, ["first", "relu", "gelu"], ["linear", "head"]),
}


def chosen(model, choice):
    check_patterns(model, choice)
    is_selected = selector(choice)
    return [layer.name for layer in all_layers(model) if is_selected(layer)]


@pytest.mark.parametrize("name", MODELS)
def test_auto_takes_what_applies_a_non_linear_activation(name):
    make, active, _ = MODELS[name]
    assert sorted(chosen(make(), "auto")) == sorted(active)


@pytest.mark.parametrize("name", MODELS)
def test_all_takes_every_leaf_and_no_composite(name):
    make, active, others = MODELS[name]
    assert sorted(chosen(make(), "all")) == sorted([*active, *others])


def test_names_paths_and_globs():
    model = nested()
    assert chosen(model, ["add"]) == ["add"]
    assert chosen(model, ("re*", "ge?u")) == ["relu", "gelu"]
    assert chosen(model, ["[fl]i*"]) == ["first", "linear"]
    assert chosen(model, []) == []

    assert chosen(model, ["dense"]) == ["dense", "dense"]
    [path] = (x.path for x in all_layers(model) if "inner/" in (x.path or ""))
    assert chosen(model, [path]) == ["dense"]
    assert chosen(model, ["*/dense"]) == ["dense"]


def test_an_activation_layer_inside_another_is_the_leaf():
    dense = layers.Dense(4, activation=layers.PReLU(name="prelu"), name="dense")
    model = keras.Sequential([keras.Input((3,)), dense])
    assert chosen(model, "all") == ["prelu"]
    # Both apply it; the output that they share counts as the inner one's.
    assert chosen(model, "auto") == ["dense", "prelu"]


def test_a_name_with_the_letters_of_a_pattern():
    model = keras.Sequential([keras.Input((1,)), layers.ReLU(name="act[0]")])
    assert chosen(model, ["act[0]"]) == ["act[0]"]


def test_callable():
    def wide(layer):
        return getattr(layer, "units", None)  # need not be a bool

    assert sorted(chosen(nested(), wide)) == ["dense", "dense", "first", "linear"]


def test_an_unknown_name_is_answered_with_the_close_matches():
    model = Subclassed()
    with pytest.raises(ValueError, match="Close matches: .*'first'.*Received: 'frist'"):
        check_patterns(model, ["head", "frist"])


def test_a_pattern_that_matches_nothing_is_answered_with_what_there_is():
    model = sequential()
    with pytest.raises(ValueError, match=r"matches no layer .*'sequential") as error:
        check_patterns(model, ["xyz*"])
    for name in ("'conv'", "'clipped_tanh'", "Received: 'xyz*'"):
        assert name in str(error.value)


@pytest.mark.parametrize("choice", ["dense", "Auto", None, 3, [1], {"dense"}])
def test_what_is_no_choice_is_refused(choice):
    with pytest.raises(ValueError, match="`layers` must be .*Received: layers="):
        selector(choice)
