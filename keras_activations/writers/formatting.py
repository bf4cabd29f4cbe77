"""Numbers and paths in as few characters as a table allows."""

import math


def number(value):
    """A value with two or three digits.

    Args:
        value: float, or None.

    Returns:
        str of 7 characters or hardly more: `-` for None.

    Example:

    >>> [number(v) for v in (None, 0.0, -0.12345, 0.00123, 17.26, 1.2e-5)]
    ['-', '0', '-0.123', '0.0012', '17.3', '1.2e-5']
    """
    if value is None:
        return "-"
    if math.isnan(value):
        return "NaN"
    size = abs(value)
    if math.isinf(value):
        return "-Inf" if value < 0 else "Inf"
    if size == 0:
        return "0"
    if not 0.00095 <= size < 99999.5:
        mantissa, exponent = f"{value:.1e}".split("e")
        return f"{mantissa}e{int(exponent)}"
    digits = 4 if size < 0.00995 else 3 if size < 1 else 2 if size < 10 else 1
    return f"{value:.{0 if size >= 100 else digits}f}"


def percent(share):
    """A share as a percentage, where only 0 reads `0` and only 1 reads `100`.

    Args:
        share: float in [0, 1], or None.

    Returns:
        str of at most 5 characters: `-` for None.

    Example:

    >>> [percent(share) for share in (None, 0.0, 1e-6, 0.1234, 0.99999, 1.0)]
    ['-', '0', '<0.1', '12.3', '>99.9', '100']
    """
    if share is None:
        return "-"
    value = 100 * share
    if 0 < value < 0.05:
        return "<0.1"
    if 99.95 <= value < 100:
        return ">99.9"
    return f"{value:.0f}" if value in (0, 100) else f"{value:.1f}"


def count(value):
    """A number of things: exact below 100000, two digits above.

    Example:

    >>> count(12345), count(1234567)
    ('12345', '1.2e6')
    """
    return str(value) if value < 100000 else number(float(value))


def shorten(paths, width):
    """Paths of at most `width` characters, cut in the middle.

    The end of a path says which layer it is, so most of it is kept. Where two
    paths would read the same, other places to cut are tried.

    Args:
        paths: sequence of str.
        width: characters in a shortened path.

    Returns:
        list of str, in the same order.

    Example:

    >>> shorten(["transformer/block_0/mha/query", "dense"], 20)
    ['trans..k_0/mha/query', 'dense']
    """
    width = max(width, 8)
    tried = []
    for head in (width // 4, 0, width // 2, 3 * width // 4):
        tail = width - head - 2
        cut = [p if len(p) <= width else f"{p[:head]}..{p[-tail:]}" for p in paths]
        if len(set(cut)) == len(set(paths)):
            return cut
        tried.append(cut)
    return tried[0]
