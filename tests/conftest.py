"""What every test shares: a quiet TensorFlow, a seed, clean sessions, XLA on and off."""

import gc
import os

# Read by TensorFlow once, when it is imported.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import hypothesis
import keras
import pytest

# Asserts in what tests import show their values as well.
pytest.register_assert_rewrite(
    "tests.activations.twins",
    "tests.activations.bounds",
    "tests.health.windows",
    "tests.leftovers",
)

# The first example of a property traces a graph and takes seconds, the rest microseconds.
hypothesis.settings.register_profile("no deadline", deadline=None)
hypothesis.settings.load_profile("no deadline")


# They wait for other processes or compile the most: begun last, they would be waited for.
LONGEST = (
    "test_several_workers",
    "test_replicas",
    "test_benchmarks",
    "test_rescue",
    "test_packaging",
    "test_unchanged",
    "test_nothing_left",
    "test_nonfinite",
    "test_runs",
    "test_clip",
)


def pytest_collection_modifyitems(items):
    """Begins with the longest files; the others keep their order."""
    items.sort(key=lambda item: item.path.stem not in LONGEST)


def pytest_collection_finish():
    """What imports made lives as long as the tests: garbage collection need not look at it again.

    Measured: half the time that collections take.
    """
    gc.collect()
    gc.freeze()


def pytest_xdist_auto_num_workers():
    """One more than there are processors: some wait for processes that tests start."""
    return os.cpu_count() + 1


@pytest.fixture(autouse=True)
def seeded():
    """Same seed before each test."""
    keras.utils.set_random_seed(0)


@pytest.fixture(autouse=True, scope="module")
def fresh_session():
    """No graphs left over from one module to the next; each clearing takes half a second."""
    yield
    keras.backend.clear_session()


@pytest.fixture(params=[False, True], ids=["jit=False", "jit=True"])
def jit(request):
    """For `compile(jit_compile=jit)`: "auto" is False on a CPU and True on a GPU."""
    return request.param
