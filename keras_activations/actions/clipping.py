"""What `"clip"` does on the host about illnesses of activations and gradients."""

from keras_activations.actions.untreatable import Untreatable


def clip(patient, finding, window):
    """Keeps the run inside bounds, for a finding whose action is `"clip"`.

    - `saturation` and `dead_units`: the pre-activations of all layers that are as ill
      are kept where the activation has slope, with a gradient that leads back.
    - `vanishing_gradient`: the gradients of all layers that are as lost are scaled up
      to a tenth of the greatest one's norm.
    - `nonfinite` and `exploding_gradient`: done inside the step already.

    Args:
        patient: a `Patient`.
        finding: a `Finding`.
        window: the `Window` it was found in.

    Returns:
        str, what was done; None if nothing was left to do.

    Raises:
        Untreatable: with the reason why nothing can be.
    """
    if finding.rule == "vanishing_gradient":
        return _raise_gradients(patient, finding, window)
    if finding.rule in ("saturation", "dead_units"):
        return _bound(patient, finding, window)
    patient.let_clip()
    return None


def _bound(patient, finding, window):
    paths = [finding.layer] + [
        path
        for path, stats in window.layers.items()
        if path != finding.layer
        and not stats.is_output
        and _share(stats, finding.rule) > finding.threshold
    ]
    patient.retrace()
    reasons = {path: patient.bounds.add(path) for path in paths}
    done = [path for path, reason in reasons.items() if reason is None]
    if not done:
        raise Untreatable(reasons[finding.layer])
    limits = patient.bounds.of(done[0])
    within = f"[{limits[0]:.2g}, {limits[1]:.2g}]"
    more = f" and {len(done) - 1} more" if len(done) > 1 else ""
    return (
        f"in training keeps the pre-activations of {done[0]}{more} within {within}, "
        "with a gradient that leads back inside"
    )


def _share(stats, rule):
    if rule == "saturation":
        return stats.saturation or 0.0
    return stats.dead_units / stats.units if stats.dead_units and stats.units else 0.0


def _raise_gradients(patient, finding, window):
    norms = {
        path: stats.gradient_norm
        for path, stats in window.layers.items()
        if stats.gradient_norm
    }
    greatest = max(norms.values(), default=0.0)
    lost = [p for p, norm in norms.items() if norm < finding.threshold * greatest]
    if not lost:
        raise Untreatable("its gradient is exactly 0, which no factor changes")
    weights = {w.path for path in lost for w in window.layers[path].weights}
    raised = [v for v in patient.model.trainable_variables if v.path in weights]
    patient.retrace()
    patient.guard.raised |= {id(variable) for variable in raised}
    return f"scales the gradients of {len(lost)} layers up to a tenth of the greatest"
