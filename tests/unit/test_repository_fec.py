"""The code and the layout of shards: any k of k + m give all, and any other bytes no harm."""

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.examples import examples
from umbel.repository.fec import gf256
from umbel.repository.fec.layout import (
    TRAILER_BYTES,
    BadShard,
    Geometry,
    join,
    parse_trailer,
    seal,
    trailer,
)
from umbel.repository.fec.reed_solomon import Code

NUMBERS = st.integers(0, 255)


def product(a: int, b: int) -> int:
    """By the book: polynomials over GF(2), modulo 0x11d."""
    total = 0
    for bit in range(8):
        if b >> bit & 1:
            total ^= a << bit
    for bit in range(14, 7, -1):
        if total >> bit & 1:
            total ^= 0x11D << bit - 8
    return total


@given(NUMBERS, NUMBERS)
def test_multiplication_is_that_of_polynomials(a: int, b: int) -> None:
    assert gf256.multiply(a, b) == product(a, b)
    assert gf256.combine([a], [bytes(range(256))]) == bytes(product(a, n) for n in range(256))
    if a:
        assert product(a, gf256.invert(a)) == 1


def test_zero_has_no_inverse() -> None:
    with pytest.raises(KeyError):
        gf256.invert(0)


@pytest.mark.parametrize(("k", "m"), [(1, 0), (1, 1), (2, 1), (4, 2), (3, 3), (6, 3), (5, 4)])
def test_any_k_cells_give_all(k: int, m: int) -> None:
    code, draw = Code(k, m), random.Random(k * 100 + m)
    data = [draw.randbytes(33) for _ in range(k)]
    cells = dict(enumerate([*data, *code.encode(data)]))
    assert len(cells) == k + m
    for kept in itertools.combinations(range(k + m), k):
        have = {number: cells[number] for number in kept}
        assert code.reconstruct(have, range(k + m)) == cells


@examples(30)
@given(st.integers(1, 200), st.integers(1, 55), st.randoms(use_true_random=False))
def test_large_codes_too(k: int, m: int, draw: random.Random) -> None:
    code = Code(k, m)
    data = [draw.randbytes(4) for _ in range(k)]
    cells = dict(enumerate([*data, *code.encode(data)]))
    have = {number: cells[number] for number in draw.sample(range(k + m), k)}
    assert code.reconstruct(have, range(k)) == {n: cells[n] for n in range(k)}


def test_too_few_cells_are_refused() -> None:
    code = Code(3, 2)
    with pytest.raises(ValueError, match="2 of 3"):
        code.reconstruct({0: b"a", 4: b"b"}, [1])
    for k, m in ((0, 1), (1, -1), (200, 56)):
        with pytest.raises(ValueError, match="cells"):
            Code(k, m)


def test_the_first_parity_cell_is_the_xor() -> None:
    assert Code(3, 2).encode([b"\x01", b"\x02", b"\x04"])[0] == b"\x07"


def shards(data: bytes, code: Code, cell: int) -> tuple[Geometry, list[bytes]]:
    """All shards of the data, without trailers."""
    geometry = Geometry(k=code.k, m=code.m, length=len(data), cell=cell)
    made = [b""] * (code.k + code.m)
    for stripe in range(geometry.stripes):
        at = stripe * code.k * cell
        cells = geometry.split(data[at : at + code.k * cell])
        for number, one in enumerate([*cells, *code.encode(cells)]):
            assert len(one) == geometry.cell_bytes(stripe)
            made[number] += seal(one)
    return geometry, made


@given(st.binary(max_size=200), st.integers(1, 5), st.integers(0, 3), st.integers(1, 9))
def test_a_blob_is_cut_and_joined(data: bytes, k: int, m: int, cell: int) -> None:
    geometry, made = shards(data, Code(k, m), cell)
    assert {len(one) for one in made} == {geometry.shard_size - TRAILER_BYTES}
    joined = b""
    for stripe in range(geometry.stripes):
        first, last = geometry.offset(stripe), geometry.offset(stripe + 1)
        cells = [geometry.cells(made[n][first:last], stripe, stripe + 1)[0] for n in range(k)]
        joined += join(cells, geometry.data_bytes(stripe))
    assert joined == data
    if data:
        assert [len(geometry.cells(one, 0, geometry.stripes)) for one in made] == [
            geometry.stripes
        ] * (k + m)


@given(st.binary(min_size=1, max_size=60), st.data())
def test_a_bit_that_went_bad_is_seen(data: bytes, draw: st.DataObject) -> None:
    geometry, (shard, *_) = shards(data, Code(2, 1), 8)
    at = draw.draw(st.integers(0, 8 * len(shard) - 1))
    wrong = bytearray(shard)
    wrong[at // 8] ^= 1 << at % 8
    with pytest.raises(BadShard):
        geometry.cells(bytes(wrong), 0, geometry.stripes)


@given(st.integers(1, 255), st.integers(0, 255), st.integers(0, 1 << 48), st.integers(1, 1 << 24))
def test_a_trailer_is_read_as_it_was_written(k: int, m: int, length: int, cell: int) -> None:
    geometry = Geometry(k=k, m=m, length=length, cell=cell)
    written = trailer(geometry, 7, "blob_a")
    assert len(written) == TRAILER_BYTES
    assert parse_trailer(written, 7, "blob_a") == geometry
    for number, blob in ((6, "blob_a"), (7, "blob_b")):
        with pytest.raises(BadShard, match="another"):
            parse_trailer(written, number, blob)


@given(st.binary(max_size=40), st.integers(0, 255), st.integers(0, 400))
def test_any_other_trailer_is_refused(data: bytes, byte: int, at: int) -> None:
    with pytest.raises(BadShard):
        parse_trailer(data, 0, "blob_a")
    good = bytearray(trailer(Geometry(k=4, m=2, length=99), 0, "blob_a"))
    if good[at % 32] != byte:
        good[at % 32] = byte
        with pytest.raises(BadShard):
            parse_trailer(bytes(good), 0, "blob_a")
