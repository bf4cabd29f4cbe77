import keras
import pytest

from keras_activations.actions.learning_rate import (
    Limits,
    back_off,
    greatest_of,
    schedule_of,
    within,
)

SCHEDULE = keras.optimizers.schedules.PolynomialDecay(1.0, 10, 0.0)


def test_a_number_is_lowered_for_good():
    optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.5))
    assert back_off(optimizer, 0.1) == pytest.approx(0.05)
    assert float(optimizer.learning_rate) == pytest.approx(0.05)


def test_a_schedule_is_slowed_while_the_step_is_traced():
    optimizer = keras.optimizers.SGD(SCHEDULE)
    assert schedule_of(optimizer) is SCHEDULE
    with within(optimizer, Limits(factor=0.1)):
        assert float(optimizer.learning_rate) == pytest.approx(0.1)
    assert schedule_of(optimizer) is SCHEDULE
    assert float(optimizer.learning_rate) == 1.0


def test_a_schedule_is_limited_while_the_step_is_traced():
    optimizer = keras.optimizers.SGD(SCHEDULE)
    with within(optimizer, Limits(0.5, rate=0.3)):
        optimizer.iterations.assign(2)
        assert float(optimizer.learning_rate) == pytest.approx(0.3)
        optimizer.iterations.assign(6)
        assert float(optimizer.learning_rate) == pytest.approx(0.2)


def test_the_greatest_rate_of_a_part_of_a_schedule():
    warm_up = keras.optimizers.schedules.CosineDecay(
        0.0, 100, warmup_target=1.0, warmup_steps=50
    )
    assert greatest_of(warm_up, 0, 25) == pytest.approx(0.5)
    assert greatest_of(warm_up, 0, 1000) > 0.8
    assert greatest_of(warm_up, 7, 7) == pytest.approx(0.14)


def test_a_momentum_is_limited_while_the_step_is_traced():
    optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(1.0, 0.99))
    with within(optimizer, Limits(momentum=0.9)):
        assert optimizer.inner_optimizer.momentum == 0.9
    assert optimizer.inner_optimizer.momentum == 0.99
    with within(keras.optimizers.Adam(), Limits(momentum=0.9)):
        pass  # it has none


def test_there_is_nothing_to_slow_about_a_number():
    optimizer = keras.optimizers.SGD(0.5)
    with within(optimizer, Limits(factor=0.1)):
        assert float(optimizer.learning_rate) == 0.5
