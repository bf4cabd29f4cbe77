"""The probable cause of a finding, among those that the data can tell apart."""

import dataclasses

from keras_activations.health import suspects, weight_suspects

MEDICINES = {
    "unscaled_inputs": "scale them to mean 0 and deviation 1 (`keras.layers.Normalization`)",
    "unscaled_targets": (
        "scale them to mean 0 and deviation 1, or clip gradients (`global_clipnorm`)"
    ),
    "large_weights": "start from smaller weights (`glorot_uniform`, `he_normal`)",
    "small_weights": (
        "start from larger weights (`glorot_uniform`, `he_normal`), normalise between "
        "the layers, or add skip connections"
    ),
    "alike_weights": "draw them at random around 0 (`glorot_uniform`, `he_normal`)",
    "learning_rate": "lower it tenfold, warm it up, or clip gradients (`global_clipnorm`)",
    "weight_decay": "lower the weight decay or the penalty on their size",
    "dead_bias": "start them at 0",
    "bad_data": "look for missing, infinite or far too large values in the data",
    "overflow": "keep this layer in float32, or bound what comes into it",
}

# From the start: no update has been made yet.
_AT_START = (
    suspects.unscaled_inputs,
    weight_suspects.large_weights,
    weight_suspects.large_embeddings,
)
_LATER = (*_AT_START, suspects.unscaled_targets)
_UNSCALED = {"unscaled_inputs", "unscaled_targets"}


def explained(case):
    """The finding of a case with its cause and medicine, as far as they can be told.

    Args:
        case: a `suspects.Case`.
    """
    if _out_of_reach(case):
        return dataclasses.replace(case.finding, cause="unscaled_targets")
    suspicion = _SEARCHES[case.finding.rule](case)
    if suspicion is None:
        return case.finding
    return with_cause(case.finding, suspicion.cause, suspicion.evidence)


def explained_fault(case, fault, loss_scaling, earlier):
    """The same for a step that was not finite.

    Args:
        case: a `suspects.Case`.
        fault: the `Fault`.
        loss_scaling: bool, gradients are scaled.
        earlier: the `Finding` of an illness that goes on, or None.
    """
    finding = case.finding
    if fault.batch_count:
        return dataclasses.replace(finding, cause="bad_data")
    if loss_scaling and fault.where == "gradient":
        return with_cause(finding, "overflow", "the scaled gradient leaves its dtype")
    if earlier is not None and earlier.cause != "unknown":
        evidence = f"what {earlier.layer} has had since step {earlier.step}"
        return with_cause(finding, earlier.cause, f"it is {evidence}")
    # A gradient that goes bad behind finite outputs does so by its own formula, unless
    # the run was coming apart already.
    if fault.where == "gradient" and suspects.learning_rate(case) is None:
        return dataclasses.replace(finding, cause="bad_gradient")
    suspicion = _SEARCHES["nonfinite"](case)
    if suspicion is not None:
        return with_cause(finding, suspicion.cause, suspicion.evidence)
    if fault.where == "output" and fault.inf_count and not fault.nan_count:
        evidence = "a number too great for its dtype"
        return with_cause(finding, "overflow", evidence)
    return finding


def with_cause(finding, cause, evidence):
    """The finding with this cause; its general advice gives way to the medicine.

    Args:
        finding: a `Finding` whose message ends in, or holds, its medicine.
        cause: one of `finding.CAUSES`.
        evidence: a clause that says what speaks for it.
    """
    medicine = MEDICINES[cause]
    advice = f"probably {evidence}, so {medicine}"
    message = finding.message
    if finding.medicine and finding.medicine in message:
        message = message.replace(finding.medicine, advice, 1)
    else:
        message = f"{message.rstrip('.')}; {advice}."
    return dataclasses.replace(finding, cause=cause, medicine=medicine, message=message)


def _saturation(case):
    if _ill_from_start(case, "saturation", 0.25):
        return (
            weight_suspects.alike_weights(case)
            or _heaviest(case, (*_AT_START, weight_suspects.dead_bias))
            or weight_suspects.growing_signal(case)
            or suspects.unscaled_targets(case)
        )
    return _heaviest(case, _LATER) or suspects.learning_rate(case)


def _dead_units(case):
    if _ill_from_start(case, "dead", 0.25):
        return (
            weight_suspects.dead_bias(case)
            or weight_suspects.alike_weights(case)
            or weight_suspects.small_weights(case)
            or _heaviest(case, _AT_START)
        )
    return (
        weight_suspects.weight_decay(case)
        or weight_suspects.small_weights(case)
        or _heaviest(case, _LATER)
        or suspects.learning_rate(case)
    )


def _vanishing(case):
    return (
        weight_suspects.weight_decay(case)
        or weight_suspects.alike_weights(case)
        or weight_suspects.small_weights(case)
        or suspects.overbearing_targets(case)
        or _heaviest(case, _AT_START)
    )


def _exploding(case):
    return suspects.outlying_batch(case) or _diverging(case)


def _diverging(case):
    return (
        weight_suspects.alike_weights(case)
        or _heaviest(case, _LATER)
        or weight_suspects.growing_signal(case)
        or suspects.learning_rate(case)
    )


_SEARCHES = {
    "nonfinite": _diverging,
    "saturation": _saturation,
    "dead_units": _dead_units,
    "vanishing_gradient": _vanishing,
    "exploding_gradient": _exploding,
}


def _out_of_reach(case):
    """Only targets out of reach make an output saturated; the rule says so itself."""
    if case.finding.rule != "saturation" or case.window is None:
        return False
    stats = case.window.layers.get(case.finding.layer)
    return stats is not None and stats.is_output


def _heaviest(case, which):
    found = [suspicion for suspect in which if (suspicion := suspect(case))]
    if not found:
        return None
    heaviest = max(found, key=lambda suspicion: suspicion.weight)
    if heaviest.cause in _UNSCALED and {s.cause for s in found} >= _UNSCALED:
        return heaviest._replace(evidence=suspects.neither_scaled(case))
    return heaviest


def _ill_from_start(case, measure, least):
    stats = case.history.initial(case.finding.layer)
    if stats is None:
        return False
    if measure == "saturation":
        return (stats.saturation or 0.0) > least
    return bool(stats.units) and (stats.dead_units or 0) / stats.units > least
