"""How fast the activations are beside Keras's own, and what they keep in memory."""
