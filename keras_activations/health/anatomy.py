"""The layers of a window in the order signals pass them, and what feeds which."""

from keras_activations.health.weights import kernels


def in_order(window):
    """Paths in execution order.

    The owner of a weight that puts out nothing itself (a recurrent layer's cell) comes
    last in a window; here it takes the place of the layer around it.
    """
    paths = list(window.layers)
    place = {path: i for i, path in enumerate(paths)}

    def position(path):
        around = path
        while "/" in around:
            around = around.rsplit("/", 1)[0]
            if around in place:
                return place[around], place[path]
        return place[path], place[path]

    return sorted(paths, key=position)


def around(window, path):
    """The layer that puts out what an owner of weights computes: itself or its parent."""
    parent = path.rsplit("/", 1)[0]
    silent = window.layers[path].count == 0 and parent in window.layers
    return parent if silent else path


def weighted(window):
    """Paths of the layers that have a kernel, in order."""
    return [path for path in in_order(window) if kernels(window.layers[path])]


def feeder(window, path):
    """The layer whose kernel makes what this layer puts out: itself or one before it.

    Returns:
        path, or None where no layer at or before it has a kernel.
    """
    found = None
    reached = False
    for other in in_order(window):
        inside = other == path or other.startswith(f"{path}/")
        if reached and not inside:
            break
        reached |= inside
        if kernels(window.layers[other]):
            found = other
    return found


def before(window, path):
    """Paths of the layers with a kernel that the signal has passed, the feeder last."""
    last = feeder(window, path)
    passed = weighted(window)
    return passed[: passed.index(last) + 1] if last is not None else []
