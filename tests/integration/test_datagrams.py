"""The memory that datagrams pass through: what fills it comes back, no other process sees it."""

import os

from hypothesis import given
from hypothesis import strategies as st

from umbel.media.rtp.packet import build_header
from umbel.media.wire.datagrams import MOST_BYTES, Ring, equal_runs
from umbel.media.wire.recent import Recent

SSRC = 0x1234_5678


@given(st.lists(st.integers(1, MOST_BYTES), max_size=200))
def test_runs(lengths: list[int]) -> None:
    """What the kernel demands of segments; nothing is left out."""
    runs, at = equal_runs(lengths), 0
    for run in runs:
        members = lengths[at : at + run]
        assert 1 <= run <= 64
        assert len(set(members[:-1])) <= 1
        assert members[-1] <= members[0]
        assert sum(members) <= MOST_BYTES
        at += run
    assert at == len(lengths)


@given(st.lists(st.binary(min_size=1, max_size=2000), min_size=1, max_size=100))
def test_a_ring_gives_back_what_fills_it(sent: list[bytes]) -> None:
    ring, out, left = Ring(), [], list(sent)
    while left:
        count = ring.fill(left)
        assert count == ring.count > 0
        assert ring.total == sum(len(data) for data in left[:count])
        out += ring.datagrams()
        del left[:count]
        ring.arrange()
        assert sum(ring.messages) == count
    assert out == sent


def test_a_forked_process_has_memory_of_its_own() -> None:
    ring, recent = Ring(), Recent()
    ours = build_header(96, 7, 0, SSRC) + b"ours"
    ring.fill([ours])
    recent.put(ring)
    pid = os.fork()
    if not pid:
        try:
            ring.fill([b"other".ljust(len(ours))])
            recent.put(ring)
            os._exit(0)
        finally:  # whatever happens, the child is no second run of the tests
            os._exit(1)
    assert os.waitpid(pid, 0)[1] == 0
    assert ring.datagrams() == [ours]
    assert recent.find(SSRC, [7]) == {7: ours}
