"""The three trainings, each with its part of the story."""

import keras

import keras_activations as ka
from keras_activations.demo.digits import SEED
from keras_activations.demo.networks import build_reader, build_rooted
from keras_activations.demo.outcomes import Outcome
from keras_activations.demo.telling import heading, say

BATCH = 32


def healthy(digits, epochs, log_dir):
    """The first training, as an `Outcome`."""
    heading("1 of 3: a healthy network")
    say(
        "First what good looks like: five hidden layers with the four activations of "
        "this package. The table after the training has a row for each layer. Look at "
        "`saturated %`: the share of outputs so close to the end of the activation's "
        "range that next to no gradient comes back from them. Small is good. Keras's "
        "progress bar shows the worst layer's share as `saturation`."
    )
    keras.utils.set_random_seed(SEED)
    return train(build_reader("healthy"), digits, epochs, _monitor(log_dir))


def saturated(digits, epochs, log_dir):
    """The second training, as an `Outcome`."""
    heading("2 of 3: the same network from a bad start")
    say(
        "The same layers and data. Only the weights before the two ClippedTanh are "
        "drawn with a standard deviation of 5 instead of about 0.1, as a slip in an "
        "initialiser does. Keras has no complaint, and the loss goes down. Watch for "
        "the line that begins with `ActivationMonitor (warn)` in the first epoch."
    )
    keras.utils.set_random_seed(SEED)
    kernel = keras.initializers.RandomNormal(stddev=5.0)
    model = build_reader("saturated", tanh_kernel=kernel)
    return train(model, digits, epochs, _monitor(log_dir))


def nan_gradient(digits, epochs, log_dir):
    """The third training, without the monitor and with it: two `Outcome`s."""
    heading("3 of 3: a gradient that is NaN behind a loss that is not")
    say(
        "This network takes a square root after a ReLU, written with care: only where "
        "the value is positive. Yet its gradient at 0 is NaN, and so become the first "
        "layer's weights. What comes after takes NaN for `not positive`, so outputs "
        "and loss stay finite: the network has gone blind, and nothing shows it. First "
        "under Keras's own TerminateOnNaN alone. Watch the loss and the accuracy."
    )
    keras.utils.set_random_seed(SEED)
    guard = keras.callbacks.TerminateOnNaN()
    unwatched = train(build_rooted(), digits, epochs, guard)
    print()
    say("Now the very same training under ActivationMonitor.")
    keras.utils.set_random_seed(SEED)
    watched = train(build_rooted(), digits, epochs, _monitor(log_dir))
    return unwatched, watched


def train(model, digits, epochs, callback):
    """Trains with Keras's progress bar and a single callback.

    Returns:
        `Outcome`.
    """
    model.compile(
        optimizer="adam",
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        jit_compile=False,
    )
    history = model.fit(
        digits.x_train,
        digits.y_train,
        batch_size=BATCH,
        epochs=epochs,
        verbose=1,
        callbacks=[callback],
    )
    _, accuracy = model.evaluate(digits.x_test, digits.y_test, verbose=0)
    return Outcome(
        steps=int(keras.ops.convert_to_numpy(model.optimizer.iterations)),
        planned=epochs * -(-len(digits.x_train) // BATCH),
        loss=history.history["loss"][-1],
        accuracy=accuracy,
        findings=getattr(callback, "findings", []),
    )


def _monitor(log_dir):
    # An epoch has 45 steps: sampled often enough to find saturation in the first.
    return ka.ActivationMonitor(
        log_dir=str(log_dir),
        every=5,
        metadata={"data": "scikit-learn digits", "seed": str(SEED)},
    )
