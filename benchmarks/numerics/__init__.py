"""How exact the activations are, ours and Keras's, in units in the last place."""
