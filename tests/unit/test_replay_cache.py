"""What an edge does with recordings: it asks once however many wait, gives what it keeps, and turns
away what it cannot serve. The file is real, time is virtual."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from support.virtual import scenario, standing_still
from umbel.kit.clock import LoopClock
from umbel.media.io import replay_cache
from umbel.media.io.replay_cache import (
    MOST_OF_GRANT,
    WAIT_S,
    ReplayCache,
    ReplayElsewhere,
)
from umbel.media.replay.grants import GrantEnded, ReplayGrant
from umbel.media.replay.messages import Orders
from umbel.media.replay.pieces import NoSuchPiece, Piece, Span

MIB = 2**20
PLENTY = Orders(mbps=10_000.0)
BODY = bytes(range(256)) * 1500


def grant(
    id_: str = "ann", from_s: float | None = None, until_s: float | None = None
) -> ReplayGrant:
    return ReplayGrant(
        id=id_, capture_id="cap_1", from_s=from_s, until_s=until_s, expires_s=2e9, token=f"t-{id_}"
    )


def segment(number: int) -> Piece:
    return Piece(capture_id="cap_1", kind="segment", number=number)


def span(number: int) -> Span:
    return Span(began_s=4.0 * number, ended_s=4.0 * number + 4.0)


def cache(mib: int = 8) -> ReplayCache:
    return ReplayCache(mib * MIB, LoopClock())


async def synced(one: ReplayCache, orders: Orders = PLENTY) -> tuple[Piece, ...]:
    return (await one.sync(orders)).wanted


async def put(one: ReplayCache, number: int, body: bytes = BODY) -> None:
    with standing_still():
        await one.put(segment(number), span(number), body)


async def read(one: ReplayCache, who: ReplayGrant, number: int) -> bytes:
    reading = await one.open(who, segment(number))
    try:
        with standing_still():
            return b"".join([chunk async for chunk in one.read(reading)])
    finally:
        one.close(reading)


@scenario
async def test_it_asks_once_however_many_wait() -> None:
    one = cache()
    told = asyncio.create_task(synced(one))
    waiting = [asyncio.create_task(read(one, grant(f"v{n}"), 3)) for n in range(20)]
    assert await told == (segment(3),)
    await put(one, 3)
    assert await asyncio.gather(*waiting) == [BODY] * 20
    assert (one.counts.misses, one.counts.hits) == (20, 0)
    assert await read(one, grant(), 3) == BODY
    assert (one.counts.misses, one.counts.hits) == (20, 1)
    report = await one.sync(PLENTY)
    assert report.wanted == ()
    assert report.captures == ("cap_1",)
    assert one.kept_bytes == len(BODY)
    assert "t-ann" in report.used
    assert (await one.sync(PLENTY)).used == (), "each use is reported once"
    one.end()


@scenario
async def test_who_was_asked_and_is_gone_is_replaced() -> None:
    one = cache()
    await one.sync(PLENTY)
    waiting = asyncio.create_task(read(one, grant(), 1))
    await asyncio.sleep(0)
    assert await synced(one) == (segment(1),)
    assert await synced(one) == (), "another instance of the control plane has it in hand"
    with pytest.raises(ReplayElsewhere):
        await waiting
    waiting = asyncio.create_task(read(one, grant(), 1))
    await asyncio.sleep(0)
    assert await synced(one) == (segment(1),)
    await asyncio.sleep(replay_cache.AGAIN_S)
    assert await synced(one) == (segment(1),)
    await put(one, 1)
    assert await waiting == BODY
    one.end()


@scenario
async def test_what_does_not_come_is_the_front_ends() -> None:
    one = cache()
    await one.sync(PLENTY)
    began_s = asyncio.get_running_loop().time()
    with pytest.raises(ReplayElsewhere):
        await read(one, grant(), 1)
    assert asyncio.get_running_loop().time() - began_s == pytest.approx(WAIT_S)
    assert one.counts.refused == 1
    waiting = asyncio.create_task(read(one, grant(), 2))
    await asyncio.sleep(0)
    one.refuse(segment(2), is_unknown=True)
    with pytest.raises(NoSuchPiece):
        await waiting
    waiting = asyncio.create_task(read(one, grant(), 2))
    await asyncio.sleep(0)
    one.refuse(segment(2), is_unknown=False)
    with pytest.raises(ReplayElsewhere):
        await waiting
    one.end()


@scenario
async def test_a_grant_reaches_its_own_range_alone() -> None:
    one = cache()
    one._allowance.set(10_000.0, one.clock.monotonic_s())
    for number in range(5):
        await put(one, number)
    part = grant(from_s=5.0, until_s=12.0)
    assert [await read(one, part, number) for number in (1, 2)] == [BODY] * 2
    for number in (0, 3, 4):
        with pytest.raises(NoSuchPiece):
            await read(one, part, number)
    assert not one._active
    one.end()


@scenario
async def test_live_viewers_come_first() -> None:
    one = cache()
    await put(one, 0)
    with pytest.raises(ReplayElsewhere):
        await read(one, grant(), 0)
    await one.sync(PLENTY)
    assert await read(one, grant(), 0) == BODY
    await one.sync(Orders(mbps=0.0, home="http://front"))
    assert one.home == "http://front"
    with pytest.raises(ReplayElsewhere):
        await read(one, grant(), 0)
    one.end()


@scenario
async def test_who_has_no_right_any_more_gets_nothing() -> None:
    one = cache()
    await one.sync(PLENTY)
    await put(one, 0)
    reports = asyncio.create_task(one.sync(PLENTY))
    await asyncio.sleep(0)
    began_s = one.clock.monotonic_s()
    assert await read(one, grant(), 0) == BODY
    assert (await reports).used == ("t-ann",)
    assert one.clock.monotonic_s() == began_s, "a new grant is reported at once"
    assert await read(one, grant(), 0) == BODY
    report = await one.sync(replace(PLENTY, ended=("ann",)))
    assert report.used == ("t-ann",), "and in each round in which it was used"
    with pytest.raises(GrantEnded):
        await read(one, grant(), 0)
    with pytest.raises(GrantEnded):
        await read(one, grant(), 5)
    assert not one._lacking, "nothing is asked for in their name"
    assert await read(one, grant("bob"), 0) == BODY
    waiting = asyncio.create_task(read(one, grant("cecil"), 1))
    await asyncio.sleep(0)
    await one.sync(replace(PLENTY, ended=("cecil",)))
    await put(one, 1)
    with pytest.raises(GrantEnded):
        await waiting
    one.end()


@scenario
async def test_one_grant_does_not_take_all() -> None:
    one = cache()
    await one.sync(PLENTY)
    await put(one, 0)
    held = [await one.open(grant(), segment(0)) for _ in range(MOST_OF_GRANT)]
    with pytest.raises(ReplayElsewhere):
        await one.open(grant(), segment(0))
    assert await read(one, grant("bob"), 0) == BODY
    for reading in held:
        one.close(reading)
    assert await read(one, grant(), 0) == BODY
    one.end()


@scenario
async def test_the_file_is_bounded_and_readers_keep_what_they_read() -> None:
    one = cache(1)
    await one.sync(PLENTY)
    await put(one, 0)
    reading = await one.open(grant(), segment(0))
    for number in range(1, 9):
        await put(one, number, bytes([number]) * len(BODY))
        assert one.kept_bytes <= MIB
    with standing_still():
        assert b"".join([chunk async for chunk in one.read(reading)]) == BODY
    one.close(reading)
    one.end()


@scenario
async def test_deleted_captures_leave_and_a_cache_of_nothing_refuses() -> None:
    one = cache()
    await put(one, 0)
    report = await one.sync(Orders(mbps=1.0, dropped=("cap_1", "cap_unknown")))
    assert (report.captures, one.kept_bytes) == ((), 0)
    one.end()
    none = cache(0)
    await none.sync(PLENTY)
    with pytest.raises(ReplayElsewhere):
        await read(none, grant(), 0)
    none.end()


@scenario
async def test_more_captures_than_a_report_names_are_named_in_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(replay_cache, "MOST_NAMED", 2)
    one = cache()
    for number in range(5):
        with standing_still():
            await one.put(replace(segment(0), capture_id=f"cap_{number}"), Span(), b"x")
    reports = [(await one.sync(PLENTY)).captures for _ in range(4)]
    assert reports == [("cap_0", "cap_1"), ("cap_2", "cap_3"), ("cap_4",), ("cap_0", "cap_1")]
    one.end()


@scenario
async def test_a_piece_that_is_dropped_and_given_again_while_it_is_written() -> None:
    one = cache()
    await one.sync(PLENTY)
    first = asyncio.create_task(put(one, 0, b"first" * 100_000))
    await asyncio.sleep(0)
    orders = asyncio.create_task(one.sync(replace(PLENTY, dropped=("cap_1",))))
    await asyncio.sleep(0)
    assert one.kept_bytes == 0
    await asyncio.gather(first, put(one, 0))
    assert await read(one, grant(), 0) == BODY
    await orders
    assert one.kept_bytes == len(BODY)
    assert not one._writing
    one._blocks.drop("cap_1")
    assert len(one._blocks._free) == 8 * MIB // one._blocks.block_bytes, "each block is free again"
    one.end()


@scenario
async def test_an_edge_that_stops_lets_readers_read_and_nobody_wait() -> None:
    one = cache()
    await one.sync(PLENTY)
    await put(one, 0)
    reading = await one.open(grant(), segment(0))
    waiting = asyncio.create_task(read(one, grant("bob"), 1))
    await asyncio.sleep(0)
    began_s = one.clock.monotonic_s()
    one.stop()
    with pytest.raises(ReplayElsewhere):
        await waiting
    with pytest.raises(ReplayElsewhere):
        await one.open(grant("cecil"), segment(0))
    assert one.clock.monotonic_s() == began_s
    with standing_still():
        assert b"".join([chunk async for chunk in one.read(reading)]) == BODY
    one.close(reading)
    one.end()


@scenario
async def test_a_full_disk_is_no_loss() -> None:
    one = cache()
    await one.sync(PLENTY)
    one.folder = Path("/nowhere/at/all")
    waiting = asyncio.create_task(read(one, grant(), 0))
    await asyncio.sleep(0)
    await put(one, 0)
    assert await waiting == BODY, "who waits gets it"
    assert one.kept_bytes == 0
    one.folder = None
    await put(one, 0)
    assert one.kept_bytes == len(BODY)
    one.end()
