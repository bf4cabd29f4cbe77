import keras
import pytest

from keras_activations.actions.learning_rate import back_off, schedule_of, slowed

SCHEDULE = keras.optimizers.schedules.PolynomialDecay(1.0, 10, 0.0)


def test_a_number_is_lowered_for_good():
    optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.5))
    assert back_off(optimizer, 0.1) == pytest.approx(0.05)
    assert float(optimizer.learning_rate) == pytest.approx(0.05)


def test_a_schedule_is_slowed_while_the_step_is_traced():
    optimizer = keras.optimizers.SGD(SCHEDULE)
    assert schedule_of(optimizer) is SCHEDULE
    with slowed(optimizer, 0.1):
        assert float(optimizer.learning_rate) == pytest.approx(0.1)
    assert schedule_of(optimizer) is SCHEDULE
    assert float(optimizer.learning_rate) == 1.0


def test_a_momentum_is_limited_while_the_step_is_traced():
    optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(1.0, 0.99))
    with slowed(optimizer, 1.0, greatest_momentum=0.9):
        assert optimizer.inner_optimizer.momentum == 0.9
    assert optimizer.inner_optimizer.momentum == 0.99
    with slowed(keras.optimizers.Adam(), 1.0, greatest_momentum=0.9):
        pass  # it has none


def test_there_is_nothing_to_slow_about_a_number():
    optimizer = keras.optimizers.SGD(0.5)
    with slowed(optimizer, 0.1):
        assert float(optimizer.learning_rate) == 0.5
