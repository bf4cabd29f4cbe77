"""What every test shares: a quiet TensorFlow, a seed, a clean session, XLA on and off."""

import os

# Read by TensorFlow once, when it is imported.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import hypothesis
import keras
import pytest

# The first example of a property traces a graph and takes seconds, the rest microseconds.
hypothesis.settings.register_profile("no deadline", deadline=None)
hypothesis.settings.load_profile("no deadline")


@pytest.fixture(autouse=True)
def seeded_session():
    """Same seed before each test; no layer names or graphs left over after it."""
    keras.utils.set_random_seed(0)
    yield
    keras.backend.clear_session()


@pytest.fixture(params=[False, True], ids=["jit=False", "jit=True"])
def jit(request):
    """For `compile(jit_compile=jit)`: "auto" is False on a CPU and True on a GPU."""
    return request.param
