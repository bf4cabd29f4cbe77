"""What Keras would build inside the first step, built before it.

TensorFlow traces a function again from the start if its first trace created variables:
those of the optimizer and of the metrics are such ones. Built a moment earlier, they are
the same variables, and the step is traced once.
"""

import keras
import tensorflow as tf
from keras.src.models import Functional

# Whose `build` creates variables, and no more. What another one does besides, like the
# copies of `ScheduleFreeAdamW`, Keras would do inside the step, with another outcome.
_BUILT_ALIKE = {
    optimizer.build
    for optimizer in (
        keras.optimizers.SGD,
        keras.optimizers.RMSprop,
        keras.optimizers.Adam,
        keras.optimizers.Adadelta,
        keras.optimizers.Adafactor,
        keras.optimizers.Adagrad,
        keras.optimizers.Adamax,
        keras.optimizers.Ftrl,
        keras.optimizers.Lamb,
        keras.optimizers.Lion,
        keras.optimizers.Muon,
        keras.optimizers.Nadam,
    )
}


def trains_as_keras_does(step):
    """Whether a bound `train_step` is Keras's own."""
    return getattr(step, "__func__", None) is keras.Model.train_step


def build_optimizer(model):
    """Creates the optimizer's variables, if it is certain which they will be."""
    optimizer = model.optimizer
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    if (
        optimizer.built
        or type(inner).build not in _BUILT_ALIKE
        or not trains_as_keras_does(model.train_step)
        or not all(layer.built for layer in model._flatten_layers())
    ):
        return  # more weights may come, or others be trained
    # As `Optimizer.apply` does.
    scope = keras.name_scope(optimizer.name, caller=optimizer)
    with model.distribute_strategy.scope(), scope:
        optimizer.build(model.trainable_weights)


def build_metrics(model, iterator):
    """Creates the compiled metrics' variables, if it is certain which they will be.

    Args:
        model: the `keras.Model`.
        iterator: what its `train_function` is called with.
    """
    metrics, outputs = model._compile_metrics, _outputs(model)
    if (
        metrics is None
        or metrics.built
        or outputs is None
        or not isinstance(iterator, tf.data.Iterator)
        or not trains_as_keras_does(model.train_step)
        or type(model).compute_metrics is not keras.Model.compute_metrics
    ):
        return
    _, targets, _ = keras.utils.unpack_x_y_sample_weight(iterator.element_spec)
    if all(isinstance(t, tf.TensorSpec) for t in keras.tree.flatten(targets)):
        # Shapes say which "accuracy" is meant, as in Keras's own `_symbolic_build`.
        metrics.build(keras.tree.map_structure(_symbolic, targets), outputs)


def _outputs(model):
    """The symbolic outputs, None where only a call would tell."""
    if type(model) is keras.Sequential:
        model = model._functional
    if not isinstance(model, Functional) or type(model).call is not Functional.call:
        return None
    return model._outputs_struct


def _symbolic(spec):
    return keras.KerasTensor(spec.shape, keras.backend.standardize_dtype(spec.dtype))
