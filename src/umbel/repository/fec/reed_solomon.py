"""A systematic Reed-Solomon code over GF(2^8): k data cells, m parity cells, any k give all others.

The parity rows are a Cauchy matrix (Bloemer et al., "An XOR-based erasure-resilient coding scheme",
1995), whose square parts all have an inverse; scaling its columns keeps that, and makes the first
parity cell the plain XOR of the data.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache

from umbel.repository.fec.gf256 import Matrix, combine, inverse, invert, multiply, times

MOST_CELLS = 255


class Code:
    """Cells are numbered: data 0 to k - 1, then parity. Raises ValueError for too many."""

    def __init__(self, k: int, m: int) -> None:
        if k < 1 or m < 0 or k + m > MOST_CELLS:
            raise ValueError(f"a code has 1 to {MOST_CELLS} cells, not {k} and {m}")
        self.k, self.m = k, m
        self._rows = (*_identity(k), *_parity(k, m))

    def encode(self, data: Sequence[bytes]) -> list[bytes]:
        """The parity cells of k data cells of one length."""
        return [combine(row, data) for row in self._rows[self.k :]]

    def reconstruct(self, have: Mapping[int, bytes], want: Sequence[int]) -> dict[int, bytes]:
        """The wanted cells, of at least k others by number. Raises ValueError where fewer are
        there."""
        lost = [number for number in want if number not in have]
        found = {number: have[number] for number in want if number in have}
        if not lost:
            return found
        chosen = tuple(sorted(have)[: self.k])  # data before parity: fewer products
        if len(chosen) < self.k:
            raise ValueError(f"{len(chosen)} of {self.k} cells")
        cells = [have[number] for number in chosen]
        inverted = _inverted(tuple(self._rows[number] for number in chosen))
        for number in lost:
            found[number] = combine(times(self._rows[number], inverted), cells)
        return found


_inverted = lru_cache(1024)(inverse)


def _identity(k: int) -> Matrix:
    return tuple(tuple(int(n == column) for column in range(k)) for n in range(k))


@lru_cache(64)
def _parity(k: int, m: int) -> Matrix:
    rows = [[invert((k + n) ^ column) for column in range(k)] for n in range(m)]
    if not rows:
        return ()
    scales = [invert(value) for value in rows[0]]
    return tuple(
        tuple(multiply(value, scale) for value, scale in zip(row, scales, strict=True))
        for row in rows
    )
