"""Masks: which positions of an output are padding."""

import keras
import tensorflow as tf

# Kept on an output beside Keras's own `_keras_mask`, which is taken off again or wrong.
OWN_MASK = "_keras_activations_mask"


def padding_mask(output):
    """The mask that Keras carries with a layer's output, None where all is data.

    Keras sets it once the layer's own call is done: ask at the end of the step.

    Returns:
        boolean tensor over the leading axes of the output, False for padding, or None.
    """
    mask = getattr(output, OWN_MASK, None)
    if mask is None:
        mask = getattr(output, "_keras_mask", None)
    if mask is None:
        return None
    mask = tf.cast(mask, tf.bool)  # 0 and 1 are masks as well
    if mask.shape.rank is None or output.shape.rank is None:
        return None
    leading = output.shape[: mask.shape.rank]
    if not mask.shape.is_compatible_with(leading):
        return None
    if mask.shape.is_fully_defined() and leading.is_fully_defined():
        return mask
    # A layer that hands masks on may have changed the axes that they are over.
    fits = tf.equal(tf.shape(mask), tf.shape(output)[: mask.shape.rank])
    return mask | ~tf.reduce_all(fits)


def keep_masks(inputs):
    """Keeps the masks of tensors that are about to go into a layer.

    Attention takes them off its inputs, which are the outputs of other layers.
    """
    for tensor in keras.tree.flatten(inputs):
        mask = getattr(tensor, "_keras_mask", None)
        if mask is not None and not hasattr(tensor, OWN_MASK):
            setattr(tensor, OWN_MASK, mask)


def tell_masks(layer, mask, output, inside):
    """Gives outputs a mask where Keras carries none, or one in another order.

    Args:
        layer: a layer whose call is done.
        mask: the mask that it was called with, or None.
        output: what it put out.
        inside: outputs of the layers inside it, in order.
    """
    if mask is None:
        return
    if isinstance(layer, keras.layers.TimeDistributed):
        # Calls the layer inside by its `call`, for one time step after the other; but
        # traces one call for all where it does not know how many they are.
        steps = output.shape[1] or 1
        for place, tensor in enumerate(inside):
            if getattr(tensor, "_keras_mask", None) is None:
                setattr(tensor, OWN_MASK, mask[:, place * steps // len(inside)])
    elif getattr(layer, "go_backwards", False) and layer.return_sequences:
        # Puts out the last time step first, but carries the mask of its input.
        mask = keras.tree.flatten(mask)[0]
        setattr(keras.tree.flatten(output)[0], OWN_MASK, tf.reverse(mask, [1]))
