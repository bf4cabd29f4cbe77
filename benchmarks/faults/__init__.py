"""The ward: what rules find in training runs that fell ill, and in ones that did not."""
