"""What came of each training: told, and held against what the demo promises."""

import dataclasses

import numpy as np

import keras_activations as ka
from keras_activations.demo.telling import item


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

    def first(self, rule):
        """The first `Finding` of a rule, or None."""
        return next((found for found in self.findings if found.rule == rule), None)


def summarise(healthy, saturated, unwatched, watched):
    """Prints one item for each `Outcome`."""
    item(
        f"Healthy: {healthy.accuracy:.0%} of the test images read correctly, "
        f"{_number(healthy.findings)}."
    )
    text = f"Saturated: {saturated.accuracy:.0%} read correctly, "
    named = saturated.first("saturation")
    if named:
        text += (
            f"after {saturated.steps} steps as well. The layer {named.layer} was named "
            f"after step {named.step}, with {named.value:.0%} of its outputs saturated."
        )
    else:
        text += f"{_number(saturated.findings)}."
    item(text)
    loss = "stayed finite" if np.isfinite(unwatched.loss) else "did not stay finite"
    item(
        f"NaN gradient under TerminateOnNaN: trained for {unwatched.steps} of "
        f"{unwatched.planned} steps, the loss {loss} (in the end {unwatched.loss:.2f}), "
        f"{unwatched.accuracy:.0%} read correctly; guessing gives 10%."
    )
    text = f"trained for {watched.steps} of {watched.planned} steps, "
    nan = watched.first("nonfinite")
    if nan:
        text += f"{nan.layer} was named after step {nan.step}: {nan.message}"
    else:
        text += f"{_number(watched.findings)}."
    item(f"The same under ActivationMonitor: {text}")


def broken_promises(healthy, saturated, unwatched, watched, log_dir):
    """What the demo promises to show and did not.

    Args:
        healthy, saturated, unwatched, watched: the `Outcome`s.
        log_dir: `pathlib.Path` of the folder for TensorBoard.

    Returns:
        list of str, empty when all is well.
    """
    named = saturated.first("saturation")
    nan = watched.first("nonfinite")
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


def _number(findings):
    return {0: "no findings", 1: "1 finding"}.get(
        len(findings), f"{len(findings)} findings"
    )
