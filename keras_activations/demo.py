"""The demo: three networks read handwritten digits, one healthy and two ill."""

import dataclasses
import pathlib
import shlex
import shutil
import sys
import textwrap

import keras
import numpy as np

import keras_activations as ka

LOG_DIR = "logs/demo"
SEED = 1
BATCH = 32
WIDTH = 80


@dataclasses.dataclass(frozen=True)
class Digits:
    """Images as rows of 64 grey values in [0, 1], and what they show, 0 to 9.

    Attributes:
        x_train, y_train: arrays of shape `(images, 64)` and `(images,)`.
        x_test, y_test: likewise, images that no network is trained on.
    """

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What came of one training.

    Attributes:
        steps: training steps done.
        planned: training steps that the epochs asked for.
        loss: loss of the last epoch.
        accuracy: share of the test images read correctly, in [0, 1].
        findings: list of `Finding`, empty without a monitor.
    """

    steps: int
    planned: int
    loss: float
    accuracy: float
    findings: list[ka.Finding]


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
    _say(
        "Three small networks learn to read handwritten digits: "
        f"{len(digits.x_train)} images to learn from, {len(digits.x_test)} others to "
        "be tested on. An ActivationMonitor watches each of them from inside the "
        "training step. One network is healthy, two are ill in ways that are easy to "
        "overlook."
    )
    # Too small to gain from a GPU; and there, as under XLA, the gradient of a ReLU
    # turns NaN into 0, so that the third network would not fall ill.
    with keras.device("cpu:0"):
        healthy = _healthy(digits, epochs, log_dir / "healthy")
        saturated = _saturated(digits, epochs, log_dir / "saturated")
        unwatched, watched = _nan_gradient(digits, epochs, log_dir / "nan_gradient")
    outcomes = (healthy, saturated, unwatched, watched)

    _heading("What was seen")
    _summarise(*outcomes)
    broken = broken_promises(*outcomes, log_dir)
    if broken:
        _heading("Not as promised")
        for line in broken:
            _item(line)
    _heading("See the curves")
    _say("This opens TensorBoard, with histograms of every layer over time:")
    print(f"\n    {tensorboard_command(log_dir)}\n")
    _say(
        "then http://localhost:6006 in a browser. Compare `healthy` and `saturated` "
        "under Histograms; Custom Scalars has all layers on one chart each."
    )
    return 1 if broken else 0


def load_digits():
    """The 1797 digits that come with scikit-learn, a fifth of them for the test.

    Returns:
        `Digits`.

    Raises:
        SystemExit: when scikit-learn is missing.
    """
    try:
        from sklearn import datasets  # type: ignore[import-untyped]
    except ImportError:
        raise SystemExit(
            "The demo takes its digits from scikit-learn, which is not installed: "
            "pip install 'keras_activations[demo]'"
        ) from None
    x, y = datasets.load_digits(return_X_y=True)
    order = np.random.default_rng(SEED).permutation(len(x))
    x, y = (x[order] / 16).astype("float32"), y[order]
    test = len(x) // 5
    return Digits(x[test:], y[test:], x[:test], y[:test])


def build_reader(name, tanh_kernel="glorot_uniform"):
    """A network with the four layers of this package.

    Args:
        name: the model's name; the `path` of its layers begins with it.
        tanh_kernel: what the weights before each `ClippedTanh` start from.

    Returns:
        `keras.Sequential`, 64 grey values to 10 logits.
    """
    return keras.Sequential(
        [
            keras.Input((64,)),
            keras.layers.Dense(64, kernel_initializer=tanh_kernel, name="dense_1"),
            ka.ClippedTanh(name="tanh_1"),
            keras.layers.Dense(64, kernel_initializer=tanh_kernel, name="dense_2"),
            ka.ClippedTanh(name="tanh_2"),
            keras.layers.Dense(64, name="dense_3"),
            ka.HardSwish(name="hard_swish"),
            keras.layers.Dense(64, name="dense_4"),
            ka.ReLU6(name="relu6"),
            keras.layers.Dense(64, name="dense_5"),
            ka.StableGELU(name="gelu"),
            keras.layers.Dense(10, name="digit"),
        ],
        name=name,
    )


def careful_root(x):
    """The square root where `x` is positive, else 0; its gradient at 0 is NaN.

    `where` chooses a value, but the gradient is that of both sides: to the side not
    chosen it hands 0, and that times the infinite slope of the root at 0 is NaN.
    (TensorFlow's own `sqrt` makes an exception for 0 times infinity.)
    """
    return keras.ops.where(x > 0, x**0.5, 0.0)


def build_rooted():
    """A network with a square root after a ReLU.

    Returns:
        `keras.Sequential`, 64 grey values to 10 logits.
    """
    return keras.Sequential(
        [
            keras.Input((64,)),
            keras.layers.Dense(64, name="dense"),
            keras.layers.ReLU(name="relu"),
            keras.layers.Activation(careful_root, name="square_root"),
            keras.layers.Dense(10, name="digit"),
        ],
        name="nan_gradient",
    )


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


def broken_promises(healthy, saturated, unwatched, watched, log_dir):
    """What the demo promises to show and did not.

    Args:
        healthy, saturated, unwatched, watched: the `Outcome`s.
        log_dir: `pathlib.Path` of the folder for TensorBoard.

    Returns:
        list of str, empty when all is well.
    """
    named = _first(saturated, "saturation")
    nan = _first(watched, "nonfinite")
    promises = {
        "the healthy network has no finding": not healthy.findings,
        "saturation is found at a ClippedTanh": named and "tanh" in named.layer,
        "under TerminateOnNaN the network with the NaN gradient trains to the end, "
        "with a finite loss": (
            unwatched.steps == unwatched.planned and np.isfinite(unwatched.loss)
        ),
        "the NaN gradient is found, and its layer named": (
            nan and nan.layer == "nan_gradient/dense"
        ),
        "training stops at the step with the NaN gradient": (
            nan and watched.steps == nan.step
        ),
    }
    for run in ("healthy", "saturated", "nan_gradient"):
        files = (log_dir / run).rglob("events.out.tfevents.*")
        promises[f"there are curves in {log_dir / run}"] = any(files)
    return [promise for promise, kept in promises.items() if not kept]


def free_folder(log_dir):
    """The folder, or one numbered beside it where there is a demo already.

    TensorBoard would join the curves of two demos in one folder.

    Returns:
        `pathlib.Path`.

    Raises:
        SystemExit: when `log_dir` is a file.
    """
    wanted = pathlib.Path(log_dir)
    if wanted.exists() and not wanted.is_dir():
        raise SystemExit(f"The folder for the curves is a file. Received: {wanted}")
    folder, number = wanted, 1
    while (folder / "healthy").exists():
        number += 1
        folder = wanted.with_name(f"{wanted.name}-{number}")
    return folder


def tensorboard_command(log_dir):
    """What to type to see the curves; it works where no environment is activated."""
    beside = shutil.which("tensorboard", path=pathlib.Path(sys.executable).parent)
    if beside and beside == shutil.which("tensorboard"):
        program = ["tensorboard"]
    else:
        program = [beside] if beside else [sys.executable, "-m", "tensorboard.main"]
    return shlex.join([*program, "--logdir", str(log_dir)])


def _healthy(digits, epochs, log_dir):
    _heading("1 of 3: a healthy network")
    _say(
        "First what good looks like: five hidden layers with the four activations of "
        "this package. The table after the training has a row for each layer. Look at "
        "`saturated %`: the share of outputs so close to the end of the activation's "
        "range that next to no gradient comes back from them. Small is good. Keras's "
        "progress bar shows the worst layer's share as `saturation`."
    )
    keras.utils.set_random_seed(SEED)
    return train(build_reader("healthy"), digits, epochs, _monitor(log_dir))


def _saturated(digits, epochs, log_dir):
    _heading("2 of 3: the same network from a bad start")
    _say(
        "The same layers and data. Only the weights before the two ClippedTanh are "
        "drawn with a standard deviation of 5 instead of about 0.1, as a slip in an "
        "initialiser does. Keras has no complaint, and the loss goes down. Watch for "
        "the line that begins with `ActivationMonitor (warn)` in the first epoch."
    )
    keras.utils.set_random_seed(SEED)
    kernel = keras.initializers.RandomNormal(stddev=5.0)
    model = build_reader("saturated", tanh_kernel=kernel)
    return train(model, digits, epochs, _monitor(log_dir))


def _nan_gradient(digits, epochs, log_dir):
    _heading("3 of 3: a gradient that is NaN behind a loss that is not")
    _say(
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
    _say("Now the very same training under ActivationMonitor.")
    keras.utils.set_random_seed(SEED)
    watched = train(build_rooted(), digits, epochs, _monitor(log_dir))
    return unwatched, watched


def _monitor(log_dir):
    # An epoch has 45 steps: sampled often enough to find saturation in the first.
    return ka.ActivationMonitor(
        log_dir=str(log_dir),
        every=5,
        metadata={"data": "scikit-learn digits", "seed": str(SEED)},
    )


def _summarise(healthy, saturated, unwatched, watched):
    _item(
        f"Healthy: {healthy.accuracy:.0%} of the test images read correctly, "
        f"{_number(healthy.findings)}."
    )
    text = f"Saturated: {saturated.accuracy:.0%} read correctly, "
    named = _first(saturated, "saturation")
    if named:
        text += (
            f"after {saturated.steps} steps as well. The layer {named.layer} was named "
            f"after step {named.step}, with {named.value:.0%} of its outputs saturated."
        )
    else:
        text += f"{_number(saturated.findings)}."
    _item(text)
    loss = "stayed finite" if np.isfinite(unwatched.loss) else "did not stay finite"
    _item(
        f"NaN gradient under TerminateOnNaN: trained for {unwatched.steps} of "
        f"{unwatched.planned} steps, the loss {loss} (in the end {unwatched.loss:.2f}), "
        f"{unwatched.accuracy:.0%} read correctly; guessing gives 10%."
    )
    text = f"trained for {watched.steps} of {watched.planned} steps, "
    nan = _first(watched, "nonfinite")
    if nan:
        text += f"{nan.layer} was named after step {nan.step}: {nan.message}"
    else:
        text += f"{_number(watched.findings)}."
    _item(f"The same under ActivationMonitor: {text}")


def _first(outcome, rule):
    return next((found for found in outcome.findings if found.rule == rule), None)


def _number(findings):
    return {0: "no findings", 1: "1 finding"}.get(
        len(findings), f"{len(findings)} findings"
    )


def _heading(text):
    print(f"\n\n{text}\n{'-' * len(text)}", flush=True)


def _say(text):
    print(textwrap.fill(text, WIDTH), flush=True)


def _item(text):
    print(
        textwrap.fill(
            text,
            WIDTH,
            initial_indent="- ",
            subsequent_indent="  ",
            break_long_words=False,
            break_on_hyphens=False,
        )
    )
