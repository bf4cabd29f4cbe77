import math

from keras_activations.writers.formatting import count, number, percent, shorten


def test_number():
    cases = [
        (None, "-"),
        (0.0, "0"),
        (-0.0, "0"),
        (float("nan"), "NaN"),
        (float("inf"), "Inf"),
        (float("-inf"), "-Inf"),
        (1.0, "1.00"),
        (-0.5, "-0.500"),
        (0.001, "0.0010"),
        (0.00099, "0.0010"),
        (0.0009, "9.0e-4"),
        (99999.0, "99999"),
        (100000.0, "1.0e5"),
        (-1.5e-7, "-1.5e-7"),
    ]
    assert [number(value) for value, _ in cases] == [text for _, text in cases]


def test_number_is_short_and_right_to_five_percent():
    mantissas = (1.0, 1.04, 5.55, 9.94, 9.96, 9.999, -1.0, -9.96)
    for value in (m * 10**e for m in mantissas for e in range(-9, 10)):
        assert math.isclose(float(number(value)), value, rel_tol=0.05)
        assert len(number(value)) <= 7


def test_percent_rounds_to_none_and_all_only_when_it_is():
    shares = (0.0, 1e-9, 0.000499, 0.0005, 0.5, 0.9994, 0.9996, 1 - 1e-9, 1.0)

    assert [percent(share) for share in shares] == [
        *("0", "<0.1", "<0.1", "0.1", "50.0", "99.9", ">99.9", ">99.9", "100")
    ]
    assert percent(None) == "-"


def test_count_is_exact_below_a_hundred_thousand():
    assert [count(n) for n in (0, 7, 99999, 819200)] == ["0", "7", "99999", "8.2e5"]


def test_shorten_keeps_short_paths_and_the_ends_of_long_ones():
    paths = ["dense", "transformer/block_0/mha/query"]

    short, cut = shorten(paths, 16)

    assert short == "dense"
    assert len(cut) == 16
    assert cut.startswith("tran")
    assert cut.endswith("mha/query")
    assert shorten(paths, 100) == paths


def test_shorten_keeps_different_paths_apart_where_it_can():
    # The places to cut that come first would take away what differs.
    paths = [f"model/tower_{i}/with/the/very/same/ending" for i in range(3)]

    cut = shorten(paths, 20)

    assert len(set(cut)) == 3
    assert max(map(len, cut)) == 20
