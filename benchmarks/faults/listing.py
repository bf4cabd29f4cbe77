"""The cases by name: what was missed, misnamed, flagged, not healed, refused."""

from benchmarks.faults import scoring
from benchmarks.faults.outcomes import Outcome
from benchmarks.faults.program import HEALTHY, TWIN


def listing(known, records):
    """Markdown lists of what did not go as it should.

    Args:
        known: list of `scoring.Case`.
        records: list of `Record`, those that did not run among them.

    Returns:
        str.
    """
    parts = {
        "Ill and not found": _lines(_missed(known)),
        "Found under another rule or in another layer": _lines(
            _misnamed(known, ("kind", "layer"))
        ),
        "Found with another cause": _lines(_misnamed(known, ("cause",))),
        "Healthy and flagged": _lines(_flagged(known, (HEALTHY, TWIN))),
        "Faulty by design, ended well": _lines(
            (case.program.name, f"skill {case.plain.skill:.2f}, {_said(case)}")
            for case in known
            if case.program.faulty and case.outcome is Outcome.WELL
        ),
        "Healthy by design, did not learn": _lines(
            (case.program.name, f"skill {case.plain.skill:.2f}, {_said(case)}")
            for case in known
            if case.program.kind in (HEALTHY, TWIN) and case.outcome is Outcome.UNKNOWN
        ),
        "Not healed by rescue": _lines(
            (
                case.program.name,
                f"{case.treated['rescue'].skill:.2f} for {case.twin.skill:.2f}",
            )
            for case in scoring.ill(known)
            if scoring.healed(case, "rescue") is False
        ),
        "Refused": _lines(_refused(records)),
        "Errors": _lines(
            (record.program, f"{record.treatment}: {record.error.splitlines()[-1]}")
            for record in records
            if record.error
        ),
    }
    return "\n\n".join(f"### {title}\n\n{text}" for title, text in parts.items())


def _missed(known):
    for case in scoring.ill(known):
        verdict = scoring.judge(case, "monitor")
        if verdict and not verdict.found:
            skills = f"skill {case.plain.skill:.2f}, twin {case.twin.skill:.2f}"
            yield case.program.name, skills


def _misnamed(known, fields):
    for case in scoring.ill(known):
        verdict = scoring.judge(case, "monitor")
        if verdict is None or not verdict.found:
            continue
        wrong = [name for name in fields if getattr(verdict, name) is False]
        if wrong:
            program = case.program
            wanted = f"{'|'.join(program.answers)} {'|'.join(program.layers)}"
            text = (
                f"{', '.join(wrong)}: {_said(case)} for {wanted} {program.cause or ''}"
            )
            yield program.name, text.strip()


def _flagged(known, kinds):
    for kind in kinds:
        for case in scoring.well(known, kind):
            if scoring.flagged(case, "monitor"):
                yield case.program.name, _said(case)


def _said(case):
    said = scoring.alarms(case, "monitor") or []
    texts = [f"{a.rule} {a.layer} @{a.step} ({a.cause})" for a in said[:3]]
    return "; ".join(texts) or "nothing said"


def _refused(records):
    for record in records:
        if record.refused:
            yield f"`{record.treatment}`", record.refused


def _lines(pairs):
    """One line for all that is told of a name in the same words."""
    counts: dict = {}
    for name, text in pairs:
        counts[name, text] = counts.get((name, text), 0) + 1
    lines = [
        f"- {name}: {text}" + (f" (x {count})" if count > 1 else "")
        for (name, text), count in counts.items()
    ]
    return "\n".join(lines) or "None."
