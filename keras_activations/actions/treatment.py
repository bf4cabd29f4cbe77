"""Treatment: what `"clip"` and `"rescue"` do to a run, try after try."""

import contextlib

from keras_activations.actions import prescriptions
from keras_activations.actions.bad_steps import BadSteps
from keras_activations.actions.batches import Batch, batch_of
from keras_activations.actions.bounds import Bounds
from keras_activations.actions.cases import Case, intervention
from keras_activations.actions.clipping import clip
from keras_activations.actions.far_rows import FarRows
from keras_activations.actions.guards import guard_for
from keras_activations.actions.learning_rate import RateWatch
from keras_activations.actions.medicines import Medicine
from keras_activations.actions.patient import Patient
from keras_activations.actions.snapshots import Snapshots
from keras_activations.actions.untreatable import NothingToChange, Untreatable

TRIES = 3  # of each rule; then the run is stopped
# What is done where a medicine cannot be given: the default action of the rule.
OTHERWISE = {"nonfinite": "stop"}
# Of these the next medicine is tried at once where one cannot be given.
URGENT = ("nonfinite", "exploding_gradient")


class Treatment:
    """Treats one model, as its rules find it ill.

    Args:
        model: a `keras.Model`.
        optimizer: its optimizer, or None.
        rules: list of rule objects.
        actions: dict of rule name to action.
        phase: see `Session`.

    Attributes:
        guard: the `UpdateGuard` for the step, or None.
        on_changed: callable `(momentum)` run after weights were changed, for the rules to
            begin anew; with the momentum that updates have from now on.

    Raises:
        ValueError: if the model cannot be treated in this phase.
    """

    def __init__(self, model, optimizer, rules, actions, phase):
        self.guard = None
        if optimizer is not None:  # without updates there is nothing to treat
            self.guard = guard_for(model, optimizer, rules, actions, phase)
        self._patient = Patient(
            model, optimizer, self.guard, Bounds(model), Snapshots(model, optimizer)
        )
        if self.guard is not None:
            self.guard.before_update = self._patient.snapshots.complete
        self._rescues = self.guard is not None and "rescue" in actions.values()
        self._loss_scaling = hasattr(optimizer, "inner_optimizer")
        self._cases: dict[str, Case] = {}
        self._due: list[tuple[Case, Medicine]] = []
        self._bad_steps = BadSteps()
        self._far_rows = FarRows(self.guard)
        self._batch: Batch | None = None
        self._well = True  # in the last window
        self._rate = RateWatch(optimizer)
        self.on_changed = lambda momentum: None

    def begin(self, step, trace_anew=None):
        """A run begins.

        Args:
            step: training steps so far.
            trace_anew: see `Patient`.
        """
        self._patient.begin(trace_anew)
        self._cases, self._due, self._well = {}, [], True
        self._rate = RateWatch(self._patient.optimizer)
        self._far_rows.begin()
        # How many steps a loop by hand makes before it has them judged is its own affair.
        execution = getattr(self._patient.model, "steps_per_execution", 1)
        self._bad_steps = BadSteps(None if trace_anew is None else execution)
        if self._rescues:
            self._patient.snapshots.begin_anew(step)

    def end(self):
        """The run is over: what goes on without a guard makes plain updates."""
        if self.guard is not None:
            self.guard.preconditioner.forget_slots(self._patient.optimizer)

    @contextlib.contextmanager
    def tracing(self):
        """To be open while a step is traced."""
        with self._patient.tracing():
            yield

    def before_step(self, step):
        """To be called before each step of `fit`; `step` tells how many were done."""
        self._patient.keep_rate()
        if not self._rescues:
            return
        rate = self._rate.raised_from()
        if rate is not None and self._well:
            self._patient.snapshots.take_before_raise(step(), rate)

    @property
    def waiting(self):
        """Whether a medicine waits for a batch."""
        return bool(self._due)

    def follow(self, judgement, step, inputs=None):
        """Treats what was found in a step.

        Args:
            judgement: with the attributes `findings`, `window`, `fault`, `dropped` and `ill`.
            step: training steps so far.
            inputs: what the model was called with, where that is known.

        Returns:
            list of `Finding`: what was done, one for each intervention.
        """
        if self.guard is None:
            return self._not_in_training(judgement.findings)
        self._batch = None if inputs is None else Batch(inputs)
        self._patient.keep_rate()
        if judgement.window is not None:
            self._patient.see(judgement.window)
        if judgement.dropped and not self._far_rows.again(judgement):
            self._patient.let_clip()
        if judgement.window is not None or judgement.ill:
            self._well = self._is_well(judgement)
        done = []
        for finding in judgement.findings:
            if finding.action == "clip":
                done += self._clipped(finding, judgement.window)
            elif finding.action == "rescue":
                done += self._opened(finding, step, judgement.dropped)
        fault = judgement.fault
        # With entries zeroed the rest of such a step is learnt from.
        if fault is not None and (judgement.dropped or not self.guard.zeroing):
            done += self._followed(fault, step)
        elif self._rescues and judgement.window is not None and self._well:
            self._keep(judgement.window, step)
        return done

    def give_with(self, data, step):
        """Gives the medicines that waited for a batch.

        Returns:
            list of `Finding`, as `follow` does.
        """
        due, self._due = self._due, []
        try:
            batch = batch_of(self._patient.model, data)
        except Untreatable as reason:
            return [self._refused(*each, reason, step) for each in due]
        return [self._given(*each, step, batch) for each in due]

    # How an illness is treated

    def _opened(self, finding, step, dropped):
        case = self._cases.setdefault(finding.rule, Case(finding, []))
        case.finding = finding
        # Afterwards the cause is what the treatment has left, unless it is another one.
        if not case.tried or finding.cause in prescriptions.PLAIN - case.causes:
            done = case.ladder[: len(case.tried)]
            case.ladder = done + prescriptions.for_finding(finding, self._patient)
        case.causes.add(finding.cause)
        if finding.rule == "nonfinite" and not self._loss_scaling:
            return []  # its update was dropped: `_followed` sees whether that was enough
        kept_out = self._far_rows.keep_out(finding, dropped)
        if kept_out is not None:
            return [intervention(finding, "rescue", f"rescue: {kept_out}.", step)]
        return self._next(case, step)

    def _followed(self, fault, step):
        """After a step that was not finite."""
        case = self._cases.get("nonfinite")
        if case is None or (self._loss_scaling and fault.where == "gradient"):
            return []
        if not self._bad_steps.too_many(step, bool(fault.batch_count)):
            return []
        return self._next(case, step)

    def _next(self, case, step):
        number = len(case.tried)
        if number >= min(TRIES, len(case.ladder)):
            return [self._given_up(case, step)]
        medicine = case.ladder[number]
        if not medicine.needs_batch or self._batch is not None:
            return [self._given(case, medicine, step, self._batch)]
        if self._patient.trace_anew is None:
            reason = Untreatable(
                "a batch is needed to look at: give `step` the inputs of one"
            )
            return [self._refused(case, medicine, reason, step)]
        if all(medicine is not other for _, other in self._due):
            self._due.append((case, medicine))
        return []

    def _given(self, case, medicine, step, batch=None):
        try:
            text = medicine.give(self._patient, case.finding, batch)
        except Untreatable as reason:
            return self._refused(case, medicine, reason, step)
        case.tried.append(text)
        case.given += 1
        self._bad_steps.forget()
        if medicine.changes_weights:
            if not medicine.restores:
                self._patient.snapshots.begin_anew(step)
            self.on_changed(self._patient.momentum)
        message = f"rescue, try {case.given} of at most {TRIES}: {text}."
        return intervention(case.finding, "rescue", message, step, medicine.name)

    def _refused(self, case, medicine, reason, step):
        case.tried.append(f"{medicine.name} could not be done ({reason})")
        message = f"cannot be rescued by {medicine.name}: {reason}"
        # Nothing was changed, and what is not finite will not mend itself.
        go_on = case.finding.rule in URGENT or isinstance(reason, NothingToChange)
        if go_on and len(case.tried) < len(case.ladder):
            following = self._next(case, step)
            if following:
                return following[0]
            return intervention(case.finding, "rescue", f"{message}.", step)
        action = OTHERWISE.get(case.finding.rule, "warn")
        message += "; training stops." if action == "stop" else "."
        return intervention(case.finding, action, message, step)

    def _given_up(self, case, step):
        tried = "; ".join(case.tried) or "dropping the update, again and again"
        message = f"the rescue has not helped, so training stops. Tried: {tried}."
        return intervention(case.finding, "stop", message, step)

    def _clipped(self, finding, window):
        try:
            text = clip(self._patient, finding, window)
        except Untreatable as reason:
            message = f"cannot be clipped: {reason}."
            return [intervention(finding, "warn", message, finding.step)]
        if text is None:
            return []
        return [intervention(finding, "clip", f"clip: {text}.", finding.step)]

    def _not_in_training(self, findings):
        reason = "no optimizer is known, so there is no update to hold back"
        return [
            intervention(f, "warn", f"cannot be treated: {reason}.", f.step)
            for f in findings
            if f.action in ("clip", "rescue")
        ]

    def _is_well(self, judgement):
        window = judgement.window
        healthy = window is None or self._patient.looks_healthy(window)
        return healthy and not judgement.ill and not self._due

    def _keep(self, window, step):
        self._patient.snapshots.take(step, self._patient.has_learnt(window))
