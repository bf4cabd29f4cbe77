"""Layouts: what a traced step contains, and what is counted of it."""

import dataclasses
import functools

from keras_activations.activations.regions import Region, activation_of, region_of
from keras_activations.telemetry.taps import all_layers

# What is sampled beside the layers.
OF_THE_BATCH = ("inputs", "targets", "loss")


@dataclasses.dataclass(frozen=True)
class LayerEntry:
    """A layer as the step saw it.

    Attributes:
        path: the layer's `path`, made unique.
        activation: name of its activation, or None.
        region: `Region` of that activation, or None where it is unknown.
        is_output: whether its output is an output of the model.
        units: size of the last axis, or None where it is unknown or varies.
        sampled: whether its distribution is sampled.
    """

    path: str
    activation: str | None
    region: Region | None
    is_output: bool
    units: int | None
    sampled: bool


@dataclasses.dataclass(frozen=True)
class WeightEntry:
    """A trainable weight that the step gave a gradient, and its layer's path."""

    path: str
    layer: str
    shape: tuple[int, ...] = ()


@dataclasses.dataclass(frozen=True)
class Layout:
    """What a traced step contains, in execution order. Equal layouts share a bank."""

    layers: tuple[LayerEntry, ...]
    weights: tuple[WeightEntry, ...]

    @functools.cached_property
    def sampled(self):
        """The entries of the layers whose distribution is sampled."""
        return [entry for entry in self.layers if entry.sampled]

    @functools.cached_property
    def sources(self):
        """What the rows of the fault counts are, as pairs of kind and path."""
        return [
            *(("output", entry.path) for entry in self.layers),
            ("loss", "loss"),
            *(("gradient", entry.path) for entry in self.weights),
            ("batch", "batch"),
        ]


def watched_units(entry):
    """How many units of a layer can be dead."""
    rectified = entry.region is not None and entry.region.floor is not None
    return entry.units or 0 if rectified else 0


def layout_of(model, record, layers, selected):
    """The layout of a recorded step.

    Args:
        model: the `keras.Model`.
        record: the `StepRecord`.
        layers: list of `(layer, output tensors)`, in execution order.
        selected: callable `layer -> bool`: is its distribution sampled?
    """
    paths = layer_paths(model)
    owners = weight_owners(model, paths)
    variables = [variable for variable, _ in record.gradients]
    names = _unique(variable.path for variable in variables)
    return Layout(
        layers=tuple(
            LayerEntry(
                path=paths[id(layer)],
                activation=activation_of(layer),
                region=region_of(layer),
                is_output=any(record.is_model_output(x) for x in calls),
                units=_units(calls),
                sampled=selected(layer),
            )
            for layer, calls in layers
        ),
        weights=tuple(
            WeightEntry(
                name, owners.get(id(variable), model.name), tuple(variable.shape)
            )
            for variable, name in zip(variables, names, strict=True)
        ),
    )


def layer_paths(model):
    """For the id of each layer its path, made unique where layers share one.

    Some of Keras's own layers have no path: they count as built before they are.
    """
    layers = [model, *all_layers(model)]
    paths = _unique(layer.path or layer.name for layer in layers)
    return {id(layer): path for layer, path in zip(layers, paths, strict=True)}


def layer_at(model, path):
    """The layer with that path, as `layer_paths` has it, or None."""
    paths = layer_paths(model)
    return next((x for x in all_layers(model) if paths[id(x)] == path), None)


def weight_owners(model, paths):
    """For the id of each trainable variable the path of the innermost layer."""
    owners = {}
    for layer in [model, *all_layers(model)]:
        for variable in layer.trainable_variables:
            # Inner layers come after the ones around them.
            owners[id(variable)] = paths[id(layer)]
    return owners


def _units(calls):
    sizes = {x.shape[-1] if x.shape.rank else None for x in calls}
    return sizes.pop() if len(sizes) == 1 else None


def _unique(names):
    given: list[str] = []
    seen: dict[str, int] = {}
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        given.append(name if seen[name] == 1 else f"{name}#{seen[name]}")
    return given
