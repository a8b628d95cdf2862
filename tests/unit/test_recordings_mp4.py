"""Files made of recorded fragments: whole, seekable, and refused where they are none."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support import mp4 as foreign
from support.examples import examples
from support.recorded import film
from umbel.media.hls import boxes
from umbel.recordings import mp4
from umbel.recordings.mp4 import BadFragment, Indexed


def recorded() -> tuple[bytes, list[bytes], list[Indexed]]:
    segments = film()
    bodies = [b"".join(part.body for part in one.parts) for one in segments]
    named = [
        Indexed(size=len(body), duration_s=one.duration_s)
        for body, one in zip(bodies, segments, strict=True)
    ]
    return boxes.initialisation(segments[0].opening.tracks), bodies, named


def test_the_head_tells_the_duration_and_every_segment() -> None:
    section, bodies, named = recorded()
    head = mp4.head(section, named)
    found = dict(foreign.boxes(head))
    moov = dict(foreign.boxes(found["moov"]))
    total_ms = round(sum(one.duration_s for one in named) * 1000)
    assert struct.unpack_from(">I", moov["mvhd"], 16) == (total_ms,)
    extends = list(foreign.boxes(moov["mvex"]))
    assert extends[0] == ("mehd", struct.pack(">IQ", 1 << 24, total_ms))
    assert [name for name, _ in extends[1:]] == ["trex", "trex"]
    index = found["sidx"]
    (count,) = struct.unpack_from(">H", index, 30)
    assert count == len(bodies)
    sizes = [size for size, _, _ in struct.iter_unpack(">III", index[32:])]
    assert sizes == [len(body) for body in bodies]


def test_moved_segments_begin_where_they_are_put() -> None:
    section, bodies, _ = recorded()
    base_s = mp4.begins_s(section, bodies[2])
    scales = mp4.timescales(section)
    moved = mp4.moved(bodies[2], 100.0 - base_s, scales)
    assert mp4.begins_s(section, moved) == pytest.approx(100.0, abs=1e-4)
    assert len(moved) == len(bodies[2])
    assert mp4.begins_s(section, mp4.moved(bodies[2], -1e6, scales)) == 0.0


@given(data=st.data())
def test_damage_is_refused_and_nothing_else(data: st.DataObject) -> None:
    """One rule: a BadFragment, or an answer of the same size."""
    section, bodies, _ = recorded()
    body = bytearray(bodies[0][:600])
    for _ in range(data.draw(st.integers(1, 8))):
        body[data.draw(st.integers(0, 299))] = data.draw(st.integers(0, 255))
    scales = mp4.timescales(section)
    try:
        assert len(mp4.moved(bytes(body), 1.0, scales)) == len(body)
        assert mp4.begins_s(section, bytes(body)) >= 0
    except BadFragment:
        pass


@examples(200)
@given(noise=st.binary(max_size=200))
def test_noise_is_no_section(noise: bytes) -> None:
    with pytest.raises(BadFragment):
        mp4.timescales(noise)
    try:
        head = mp4.head(noise, [])
    except BadFragment:
        return
    assert b"sidx" in head


def test_too_many_segments_for_an_index() -> None:
    section, _, named = recorded()
    with pytest.raises(BadFragment, match="65535"):
        mp4.head(section, named[:1] * (mp4.MOST_INDEXED + 1))
