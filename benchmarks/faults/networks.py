"""Networks of the programs: chains of layers over a `Split`, compiled.

Layers are named `hidden_1`, `hidden_2`, ... and `output`; an activation in a layer of
its own is `act_1`, `act_2`, ..., so that a program can say which one its fault is in.
"""

import keras

from benchmarks.faults.program import Training

layers = keras.layers
initializers = keras.initializers


def normal(deviation):
    """Initial weights of this deviation, whatever the layer's size."""
    return initializers.RandomNormal(stddev=deviation)


def train(
    blocks, data, *, output=None, loss=None, optimizer=None, epochs=12, batch=64, **more
):
    """A compiled chain of layers with a head for the data.

    Args:
        blocks: the layers below the head.
        data: a `Split`.
        output: the head; None for softmax over the classes, or linear units.
        loss: None for cross-entropy, or the mean squared error in a regression.
        optimizer: callable that makes it, or a name; None for Adam.
        more: further fields of `Training`.

    Returns:
        `Training`.
    """
    head = output or (
        layers.Dense(data.classes, "softmax", name="output")
        if data.classes
        else layers.Dense(data.y.shape[-1], name="output")
    )
    inputs = keras.Input(data.x.shape[1:])
    model = keras.Sequential([inputs, *blocks, head], name="net")
    return compiled(model, data, loss, optimizer, epochs=epochs, batch=batch, **more)


def compiled(model, data, loss=None, optimizer=None, *, epochs=12, batch=64, **more):
    """The same for a model made elsewhere."""
    usual = "sparse_categorical_crossentropy" if data.classes else "mse"
    metrics = ["accuracy"] if data.classes else []
    optimizer = optimizer() if callable(optimizer) else optimizer
    model.compile(optimizer or "adam", loss or usual, metrics=metrics)
    return Training(model, data, epochs, batch, **more)


def dense(widths, activation, separate=False, kernel=None, bias=None, only=None):
    """Dense layers, with the activation inside or as a layer after each.

    Args:
        widths: sequence of int.
        activation: name, or a callable that makes a layer when `separate`.
        kernel, bias: initializers in place of the default ones.
        only: numbers from 1 of the layers that they hold for; None for all.
    """
    blocks = []
    for number, width in enumerate(widths, 1):
        changed = only is None or number in only
        options = {"name": f"hidden_{number}"}
        if kernel and changed:
            # One initializer gives one draw: each layer needs a copy of its own.
            options["kernel_initializer"] = kernel.clone()
        if bias and changed:
            options["bias_initializer"] = bias.clone()
        if not separate:
            blocks.append(layers.Dense(width, activation, **options))
            continue
        blocks.append(layers.Dense(width, **options))
        name = f"act_{number}"
        blocks.append(
            layers.Activation(activation, name=name)
            if isinstance(activation, str)
            else activation(name=name)
        )
    return blocks


def conv(filters, activation, kernel=None, bias=None, only=None, layer=None):
    """Convolutions over images (or sequences), and their values as one row."""
    layer = layer or layers.Conv2D
    blocks = []
    for number, count in enumerate(filters, 1):
        changed = only is None or number in only
        options = {"name": f"hidden_{number}", "padding": "same"}
        separable = layer in (layers.SeparableConv2D, layers.SeparableConv1D)
        if kernel and changed:
            name = "pointwise_initializer" if separable else "kernel_initializer"
            options[name] = kernel.clone()
        if bias and changed:
            options["bias_initializer"] = bias.clone()
        blocks.append(layer(count, 3, activation=activation, **options))
    return [*blocks, layers.Flatten(name="flat")]
