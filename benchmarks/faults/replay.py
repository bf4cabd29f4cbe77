"""Judges recorded runs anew with the rules as they are now, without training.

`python -m benchmarks.faults.replay --cache PATH` scores the warned runs of a cache with
today's rules on the recorded windows; what was found at single steps (NaN, Inf) and
what peers said is taken as recorded. For trying out rules, import `replayed`.
"""

import argparse
import dataclasses
import pickle
import types

from benchmarks.faults import tables
from benchmarks.faults.cache import DEFAULT, Cache
from benchmarks.faults.registry import PROGRAMS, select
from benchmarks.faults.running import alarm_of
from keras_activations.health.examiner import Examiner
from keras_activations.health.rules import default_rules

MOMENTS = ("mean", "std", "min", "max")


def windows_of(cache, record):
    """The windows of a run, completed with what the data tell where they lack it.

    Returns:
        list of `telemetry.stats.Window`.
    """
    kept = pickle.loads(cache.windows(record).read_bytes())
    sizes = {
        name: types.SimpleNamespace(
            **dict(zip(MOMENTS, map(float, values), strict=True))
        )
        for name, values in kept["sizes"].items()
    }
    windows = []
    for window in kept["windows"]:
        known = {
            name: value
            for name, value in sizes.items()
            if getattr(window, name) is None
        }
        if window.loss is None:
            known["loss"] = float(kept["losses"][window.step - 1])
        windows.append(dataclasses.replace(window, **known))
    return windows


def replayed(cache, record, rules=None):
    """A record as it would be with other rules.

    Args:
        cache: a `Cache`.
        record: a `Record` of a warned run.
        rules: list of rule objects, without state; None for the default ones.

    Returns:
        `Record`.
    """
    rules = default_rules() if rules is None else rules
    actions = {rule.name: "warn" for rule in rules}
    examiner = Examiner(rules, actions)
    before = record.alarms["monitor"]
    alarms = [alarm for alarm in before if alarm.rule == "nonfinite"]
    fault = min((alarm.step for alarm in alarms), default=float("inf"))
    for window in windows_of(cache, record):
        # Of numbers that are none there is nothing to judge.
        if window.step < fault or not _bad(window):
            alarms += map(alarm_of, examiner.judge_window(window))
    alarms.sort(key=lambda alarm: alarm.step)
    return dataclasses.replace(record, alarms=record.alarms | {"monitor": alarms})


def _bad(window):
    """Whether the window has values that are not finite."""
    return any(
        stats.nan_count
        or stats.inf_count
        or any(w.gradient_nan_count or w.gradient_inf_count for w in stats.weights)
        for stats in window.layers.values()
    )


def main():
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.faults.replay", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--cache", default=DEFAULT, metavar="PATH")
    parser.add_argument("--programs", default="*", metavar="GLOB")
    parser.add_argument("--split", default="all", choices=["tune", "holdout", "all"])
    options = parser.parse_args()
    cache = Cache(options.cache)
    names = {program.name for program in select(options.programs, options.split)}
    records = [
        replayed(cache, record) if record.treatment == "warn" and record.ran else record
        for record in cache.records().values()
        if record.program in names
    ]
    print(tables.page(PROGRAMS, records))


if __name__ == "__main__":
    main()
