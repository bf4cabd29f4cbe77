"""A run: one program, one seed, one treatment, in this process."""

import hashlib
import pickle
import time
import traceback

import keras
import numpy as np

import keras_activations as ka
from benchmarks.faults import version
from benchmarks.faults.peers import (
    LOOKED_AT,
    AutoTrainer,
    CheckNumerics,
    DeepDiagnosis,
    Look,
    TerminateOnNaN,
)
from benchmarks.faults.records import Alarm, Record
from benchmarks.faults.watching import Truth, finite_weights, recorded_rules
from keras_activations.health.finding import RULES

# The programs train for 200 to 400 steps, a twentieth of what is usual; so a window
# is not the 50 steps of the default, which would see five of them, but 10.
EVERY = 10

MONITORED = ("warn", "stop", "clip", "rescue")
TREATMENTS = ("none", *MONITORED, CheckNumerics.name)


def run(program, seed, treatment):
    """Trains a program.

    Returns:
        `Record`, and bytes that `replay` understands: the windows of the run (None
        unless it was watched).
    """
    key = {"program": program.name, "seed": seed, "treatment": treatment}
    key["code"] = version.code()
    try:
        keras.backend.clear_session()
        keras.utils.set_random_seed(seed)
        training = program.build()
        windows = []
        try:
            monitor = _monitor(treatment, windows)
        except ValueError as refusal:
            return Record(**key, refused=str(refusal)), None
        record, losses = _train(training, treatment, monitor, key)
    except Exception:  # whatever it is, it belongs into the report of the ward
        return Record(**key, error=traceback.format_exc(limit=-4)), None
    if monitor is None:
        return record, None
    kept = {"windows": windows, "losses": losses, "sizes": _sizes(training.data)}
    return record, pickle.dumps(kept)


def _monitor(treatment, windows):
    if treatment not in MONITORED:
        return None
    actions = {f"on_{rule}": treatment for rule in RULES}
    return ka.ActivationMonitor(
        every=EVERY, rules=recorded_rules(windows), verbose=0, **actions
    )


def _train(training, treatment, monitor, key):
    truth, checks, peers = Truth(), CheckNumerics(), []
    if treatment == "warn":  # all look at the very same run
        look = Look(training, LOOKED_AT)
        kinds = (AutoTrainer, DeepDiagnosis, TerminateOnNaN)
        peers = [kind(training, look) for kind in kinds]
    watching = [monitor] if monitor else []

    def fit():
        training.model.fit(
            training.data.x,
            training.data.y,
            epochs=training.epochs,
            batch_size=training.batch,
            callbacks=[*watching, *training.callbacks, truth, *peers],
            verbose=0,
            **training.fit,
        )

    begin = time.process_time()
    if treatment == CheckNumerics.name:
        checks.fit(fit, truth)
    else:
        fit()
    seconds, later = time.process_time() - begin, truth.later_seconds
    alarms = {peer.name: peer.alarms for peer in peers}
    if monitor:
        alarms["monitor"] = [alarm_of(finding) for finding in monitor.findings]
    if treatment == CheckNumerics.name:
        alarms[checks.name] = checks.alarms
    batches = -(-len(training.data.x) // training.batch)
    record = Record(
        **key,
        skill=skill(training.model, training.data),
        finite=finite_weights(training.model),
        steps=truth.step,
        planned=batches * training.epochs,
        first_bad_step=truth.first_bad_step,
        seconds=seconds,
        later_seconds=later,
        weights=_digest(training.model),
        alarms=alarms,
    )
    return record, truth.losses


def skill(model, data):
    """What the model can do: accuracy, or the share of variance explained; 0 to 1."""
    output = np.asarray(model(data.x_val, training=False), "float64")
    if not np.isfinite(output).all():
        return 0.0
    if data.classes is None:
        error = np.mean(np.square(output - data.y_val))
        # Of a program with a bad target, the other targets' mean.
        mean = data.y[np.isfinite(data.y).all(axis=-1)].mean(axis=0)
        variance = np.mean(np.square(data.y_val - mean))
        return float(max(0.0, 1 - error / variance))
    if output.shape[-1] == 1:
        return float(np.mean((output[:, 0] > 0.5) == data.y_val))
    return float(np.mean(output.argmax(axis=-1) == data.y_val))


def alarm_of(finding):
    return Alarm(
        finding.step,
        finding.rule,
        finding.layer.rsplit("/", 1)[-1],
        getattr(finding, "cause", None),
        finding.action,
        finding.value,
        finding.threshold,
        finding.message,
    )


def _digest(model):
    digest = hashlib.sha256()
    for weight in model.weights:
        digest.update(keras.ops.convert_to_numpy(weight).tobytes())
    return digest.hexdigest()[:16]


def _sizes(data):
    """Mean, deviation and extremes of inputs and targets, for the rules' replay."""
    return {
        name: (values.mean(), values.std(), values.min(), values.max())
        for name, values in (("inputs", data.x), ("targets", data.y))
    }
