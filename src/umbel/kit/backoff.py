"""How long to wait before something that keeps failing is tried again. Pure."""

from zlib import crc32


def wait_s(failures: int, draw: float, *, first_s: float, longest_s: float) -> float:
    """After so many failures in a row: doubling from the first wait to the longest, of which the
    draw (0 to 1) takes up to half off, so that what failed together does not return together."""
    # The exponent is held so that what fails for years cannot overflow a float.
    doubled_s = first_s * 2.0 ** min(max(failures - 1, 0), 30)
    return min(doubled_s, longest_s) * (1 - draw / 2)


def draw(name: str, failures: int) -> float:
    """A draw that is each name's own at each failure, and the same whenever it is asked for."""
    return crc32(f"{name} {failures}".encode()) / 2**32
