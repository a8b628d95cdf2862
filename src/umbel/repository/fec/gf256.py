"""Arithmetic in GF(2^8) with the polynomial x^8 + x^4 + x^3 + x^2 + 1 (0x11d), as tables.

In: numbers from 0 to 255, and bytes. Out: the same. Addition is XOR.
"""

from collections.abc import Sequence

import numpy as np

_POLYNOMIAL = 0x11D


def _powers() -> list[int]:
    powers, value = [], 1
    for _ in range(255):
        powers.append(value)
        value <<= 1
        if value & 0x100:
            value ^= _POLYNOMIAL
    return powers


_EXP = _powers() * 2
_LOG = {value: power for power, value in enumerate(_EXP[:255])}


def multiply(a: int, b: int) -> int:
    """The product."""
    return 0 if a == 0 or b == 0 else _EXP[_LOG[a] + _LOG[b]]


def invert(a: int) -> int:
    """The inverse. Raises KeyError for 0, which has none."""
    return _EXP[255 - _LOG[a]]


# One table for each factor: bytes.translate looks up a whole cell at the speed of memory, where an
# index by numpy first makes eight bytes of each.
_PRODUCTS = tuple(bytes(multiply(a, b) for b in range(256)) for a in range(256))


def combine(factors: Sequence[int], cells: Sequence[bytes]) -> bytes:
    """The sum of the cells, each times its factor. The cells have one length."""
    total = np.zeros(len(cells[0]), dtype=np.uint8)
    for factor, cell in zip(factors, cells, strict=True):
        if factor == 0:
            continue
        product = cell if factor == 1 else cell.translate(_PRODUCTS[factor])
        np.bitwise_xor(total, np.frombuffer(product, dtype=np.uint8), out=total)
    return total.tobytes()


Matrix = tuple[tuple[int, ...], ...]


def inverse(matrix: Matrix) -> Matrix:
    """The inverse of a square matrix, by Gauss and Jordan. Raises StopIteration where it has
    none."""
    size = len(matrix)
    rows = [[*row, *(int(n == m) for m in range(size))] for n, row in enumerate(matrix)]
    for column in range(size):
        pivot = next(n for n in range(column, size) if rows[n][column])
        rows[column], rows[pivot] = rows[pivot], rows[column]
        factor = invert(rows[column][column])
        rows[column] = [multiply(factor, value) for value in rows[column]]
        for n in range(size):
            if n != column and (factor := rows[n][column]):
                rows[n] = [
                    a ^ multiply(factor, b) for a, b in zip(rows[n], rows[column], strict=True)
                ]
    return tuple(tuple(row[size:]) for row in rows)


def times(row: Sequence[int], matrix: Matrix) -> tuple[int, ...]:
    """A row times a matrix."""
    total = [0] * len(matrix[0])
    for factor, other in zip(row, matrix, strict=True):
        for n, value in enumerate(other):
            total[n] ^= multiply(factor, value)
    return tuple(total)
