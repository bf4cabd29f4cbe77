"""What is usual of a gradient's norm, and what it is clipped to."""

import math

import pytest

from keras_activations.actions.norms import UsualNorm


def learnt(*values):
    norms = UsualNorm()
    for value in values:
        norms.note_applied(value)
    return norms


def clip(norms, *limits):
    norms.clip_from_now_on(*limits)
    return float(norms.clip)


def test_clips_to_the_mean_of_what_was_applied():
    assert clip(learnt(1.0, 2.0, 6.0)) == pytest.approx(3.0)
    assert clip(learnt(1.0, math.inf)) == pytest.approx(1.0)
    assert clip(UsualNorm()) == 1.0


def test_within_limits():
    assert clip(learnt(1.0, 1e6), 0.5, 5.0) == 5.0
    assert clip(learnt(0.01), 0.5, 5.0) == 0.5


def test_what_is_applied_while_it_clips_says_nothing():
    norms = learnt(7.0)
    norms.learn_anew()
    assert clip(norms, 0.0, 0.25) == 0.25
    for _ in range(30):
        norms.note_applied(100.0)
    assert clip(norms) == 0.25
