"""When dropping bad updates is not enough."""

import pytest

from keras_activations.actions.bad_steps import AMONG, BadSteps


def acted(steps, together=1, of_data=False):
    """The steps, of those that were bad, at which something had to be done."""
    bad = BadSteps(together)
    return [step for step in steps if bad.too_many(step, of_data)]


@pytest.mark.parametrize("together", [1, 8])
def test_three_running(together):
    steps = [5, 9, 10, 11, 13, 14, 20, 21, 22]
    expected = [11, 22]
    assert acted([together * s for s in steps], together) == [
        together * s for s in expected
    ]


def test_where_good_steps_lie_between_the_rest_is_learnt_from():
    assert acted(range(0, 300, 3)) == []
    assert acted(range(0, 60, 2)) == [28, 58]  # unless it is the lesser part


def test_bad_data_may_come_running():
    assert acted([1, 2, 3, 4, 50, 51, 52], of_data=True) == []
    assert acted(range(1, AMONG), of_data=True) == [AMONG // 2]


def test_a_loop_by_hand_may_make_any_number_of_steps_between():
    assert acted([8, 16, 24], together=None) == [24]


def test_what_was_treated_is_forgotten():
    bad = BadSteps()
    assert not bad.too_many(1, False)
    assert not bad.too_many(2, False)
    bad.forget()
    assert not bad.too_many(3, False)
