"""What the layers become when a model is converted, and how far that is off."""
