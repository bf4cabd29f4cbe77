"""The rule for NaN and Inf, judged after every step."""

from keras_activations.health.finding import Finding


class NonFinite:
    """NaN or infinite values in an output, the loss or a gradient.

    Judged after every step, on exact counts, at once: patience 0, threshold 0.
    `judge` never finds anything in a window; `judge_fault` judges a step.
    """

    name = "nonfinite"

    def thresholds(self):
        return {"NaN or Inf values": 0}

    def judge(self, window, state):
        return [], state

    def judge_fault(self, fault, layer, epoch, between=(), batch=None):
        """The finding for the first place in a step that was not finite.

        Args:
            fault: a `telemetry.readout.Fault`.
            layer: path of the layer the fault belongs to.
            epoch: epoch of the step.
            between: for a gradient, paths of the layers between this one and the
                next whose gradient was finite.
            batch: number of the batch within the epoch, from 1, where it is known.
        """
        seen, advice = _message(fault, between, batch, epoch)
        return Finding(
            step=fault.step,
            epoch=epoch,
            layer=layer,
            rule=self.name,
            value=float(fault.nan_count + fault.inf_count),
            threshold=0.0,
            action="",
            message=f"{seen}{advice}.",
            medicine=advice,
        )


def _message(fault, between, batch, epoch):
    kinds = [("NaN", fault.nan_count), ("infinite", fault.inf_count)]
    what = " and ".join(f"{count} {kind}" for kind, count in kinds if count)
    place = {
        "output": "the output has",
        "loss": "every output is finite, but the loss has",
        "gradient": f"the gradient of {fault.path} has",
        "batch": "the batch has",
    }[fault.where]
    text = (
        f"{place} {what} value{'s' if fault.nan_count + fault.inf_count != 1 else ''}"
    )
    if fault.batch_count:
        which = f" (batch {batch} of epoch {epoch + 1})" if batch else ""
        return (
            f"{text}, and the batch itself already holds {fault.batch_count}{which}: ",
            "look for missing or infinite values in the data",
        )
    if fault.where == "gradient":
        if between:
            text += (
                f", while every output is finite: it arises between here and "
                f"{between[-1]}"
            )
            inner = between[:-1]
            if inner:
                text += f" (look at {', '.join(inner)})"
        return (
            f"{text}; ",
            "look there for a square root, logarithm or division at 0, and add a small "
            "constant to it",
        )
    if fault.where == "loss":
        return (
            f"{text}: ",
            "look for the logarithm of 0 or less, or targets that are not finite, and let "
            "the loss take logits",
        )
    return (
        f"{text}, the first place in the step that is not finite: ",
        "lower the learning rate, scale the inputs, or look for an overflow, a logarithm "
        "or a division by 0 in this layer",
    )
