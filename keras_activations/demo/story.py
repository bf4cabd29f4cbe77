"""The story from beginning to end."""

import keras

from keras_activations.demo import runs
from keras_activations.demo.curves import LOG_DIR, free_folder, tensorboard_command
from keras_activations.demo.digits import load_digits
from keras_activations.demo.outcomes import broken_promises, summarise
from keras_activations.demo.telling import heading, item, say


def run_demo(log_dir=LOG_DIR, epochs=8):
    """Trains the three networks and tells their story on standard output.

    Args:
        log_dir: folder for TensorBoard, one run a network. A demo that is there
            already is kept, and this one goes to a folder beside it.
        epochs: int >= 1, passes over the digits.

    Returns:
        int: 0 when everything was found as promised, otherwise 1.
    """
    digits = load_digits()
    log_dir = free_folder(log_dir)
    keras.ops.zeros(())  # TensorFlow says what it has to say before the story begins.
    print(f"keras-activations demo\n{'=' * 22}")
    say(
        "Three small networks learn to read handwritten digits: "
        f"{len(digits.x_train)} images to learn from, {len(digits.x_test)} others to "
        "be tested on. An ActivationMonitor watches each of them from inside the "
        "training step. One network is healthy, two are ill in ways that are easy to "
        "overlook."
    )
    # Too small to gain from a GPU; and there, as under XLA, the gradient of a ReLU
    # turns NaN into 0, so that the third network would not fall ill.
    with keras.device("cpu:0"):
        healthy = runs.healthy(digits, epochs, log_dir / "healthy")
        saturated = runs.saturated(digits, epochs, log_dir / "saturated")
        unwatched, watched = runs.nan_gradient(digits, epochs, log_dir / "nan_gradient")
    outcomes = (healthy, saturated, unwatched, watched)

    heading("What was seen")
    summarise(*outcomes)
    broken = broken_promises(*outcomes, log_dir)
    if broken:
        heading("Not as promised")
        for line in broken:
            item(line)
    heading("See the curves")
    say("This opens TensorBoard, with histograms of every layer over time:")
    print(f"\n    {tensorboard_command(log_dir)}\n")
    say(
        "then http://localhost:6006 in a browser. Compare `healthy` and `saturated` "
        "under Histograms; Custom Scalars has all layers on one chart each."
    )
    return 1 if broken else 0
