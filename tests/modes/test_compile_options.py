"""How `compile` and the trainer run a step: XLA, eagerly, several in one execution."""

import pytest

from tests.modes.runs import batches, classifier, digits, fit, watch
from tests.modes.twin import assert_describes_steps

STEPS = 12
# In 12 steps an execution of 8 is followed by a smaller one.
OPTIONS = {
    "graph": ({"jit_compile": False}, 1),
    "eager": ({"run_eagerly": True}, 1),
    "xla": ({"jit_compile": True}, 1),
    "8 steps, unrolled": ({"jit_compile": False, "steps_per_execution": 8}, 4),
    "8 steps, xla": ({"jit_compile": True, "steps_per_execution": 8}, 1),
}


@pytest.fixture(scope="module")
def auto():
    """With `jit_compile="auto"`, the default."""
    return watch(lambda monitor: fit(classifier, monitor))


@pytest.fixture(scope="module")
def trajectory(auto):
    """Weights before each step, and its batch."""
    return list(zip(auto.before, batches(*digits(STEPS)), strict=True))


def test_auto(auto, trajectory):
    assert [window.step for window in auto.windows] == list(range(1, STEPS + 1))
    for window, step in zip(auto.windows, trajectory, strict=True):
        assert_describes_steps(window, [step])


@pytest.mark.parametrize(("compile", "unrolled"), OPTIONS.values(), ids=OPTIONS)
def test_compile_options(compile, unrolled, trajectory):
    def build():
        model = classifier()
        model.unrolled_steps_per_execution = unrolled
        return model

    watched = watch(lambda monitor: fit(build, monitor, compile=compile))

    execution = compile.get("steps_per_execution", 1)
    ends = [*range(execution, STEPS, execution), STEPS]
    assert [window.step for window in watched.windows] == ends
    begin = 0
    for window in watched.windows:
        # Two ways to run a step round differently, and each step adds to it.
        assert_describes_steps(window, trajectory[begin : window.step], rtol=1e-4)
        begin = window.step
    assert watched.model.unrolled_steps_per_execution == unrolled
