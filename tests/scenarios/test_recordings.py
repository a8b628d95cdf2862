"""Viewers record events on the whole platform: recorders come with the first who asks and go with
the last; a control plane, a recorder or a node may die in the middle."""

import asyncio
from pathlib import Path

from support.recorded import playlist
from support.virtual import scenario, until
from support.world import World, world
from umbel.catalogue.model import EventEvent, EventState, UserRole
from umbel.catalogue.reservations.model import Purpose
from umbel.compute.model import FunctionState, Scheduling
from umbel.recordings.capturing import TAIL_S
from umbel.recordings.model import Extent, Kept, RecordingState

PASSWORD = "correct horse battery"


async def people(w: World, *names: str) -> None:
    for name in names:
        await w.system.catalogue.add_user(name, PASSWORD, UserRole.VIEWER)


async def kept(w: World, username: str) -> Kept:
    (one,), _ = await w.system.recordings.of(username)
    return one


async def until_kept(w: World, username: str, seconds: float, within_s: float) -> None:
    async def holds() -> bool:
        found, _ = await w.system.recordings.of(username)
        return bool(found) and found[0].duration_s >= seconds

    await until(holds, within_s=within_s, why=f"{username} has {seconds} s")


async def until_recorders(w: World, count: int, within_s: float) -> None:
    async def holds() -> bool:
        states = w.states().items()
        found = [f for f, s in states if "recorder" in f and s is FunctionState.ACTIVE]
        return len(found) == count

    await until(holds, within_s=within_s, why=f"{count} recorders run")


async def extent(w: World, username: str) -> Extent:
    _, found = await w.system.recordings.extent(username, (await kept(w, username)).recording.id)
    return found


@scenario
async def test_a_reserved_recording_is_whole_with_nobody_watching(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await people(w, "ann")
        event = await w.event()
        await w.system.catalogue.reservations.reserve("ann", event, Purpose.RECORD)
        await asyncio.sleep(5)
        assert (await w.system.recordings.of("ann"))[0] == []
        point = await w.delivery.open_ingest(event)
        w.media.publish(point.function, event)
        began_s = w.clock.now_s()
        await until_kept(w, "ann", 20.0, within_s=40.0)
        await w.system.catalogue.transition(event, EventEvent.END)
        await w.delivery.end(event)
        await until_recorders(w, 0, within_s=60.0)
        one = await kept(w, "ann")
        assert one.state is RecordingState.READY
        lasted_s = w.clock.now_s() - began_s
        assert 20.0 <= one.duration_s <= lasted_s
        text = await playlist(w.system.recordings, await extent(w, "ann"))
        assert text.endswith("#EXT-X-ENDLIST\n")


@scenario
async def test_one_recorder_serves_everybody_and_goes_with_the_last(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await people(w, "ann", "bob")
        event = await w.live()
        first = await w.system.recordings.start("ann", event, from_start=False)
        await until_kept(w, "ann", 10.0, within_s=30.0)
        second = await w.system.recordings.start("bob", event, from_start=False)
        await until_kept(w, "bob", 10.0, within_s=30.0)
        await until_recorders(w, 1, within_s=1.0)
        assert (await kept(w, "ann")).duration_s > (await kept(w, "bob")).duration_s + 5
        await w.system.recordings.stop("ann", first.recording.id)
        await asyncio.sleep(TAIL_S + 5)
        await until_recorders(w, 1, within_s=1.0)
        ann = await kept(w, "ann")
        await w.system.recordings.stop("bob", second.recording.id)
        await until_recorders(w, 0, within_s=TAIL_S + 30.0)
        assert (await kept(w, "ann")).duration_s == ann.duration_s
        assert (await kept(w, "bob")).state is RecordingState.READY


@scenario
async def test_a_control_plane_that_dies_loses_nothing(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await people(w, "ann")
        event = await w.live()
        began_s = w.clock.now_s()
        await w.system.recordings.start("ann", event, from_start=False)
        await until_kept(w, "ann", 10.0, within_s=30.0)
        await w.crash()
        await asyncio.sleep(30)
        await w.start()
        await until_kept(w, "ann", 60.0, within_s=220.0)
        one = await kept(w, "ann")
        index = await w.system.recordings.index(await extent(w, "ann"))
        assert [segment.is_break for segment in index.segments].count(True) == 0
        assert one.duration_s >= w.clock.now_s() - began_s - 15.0, "without a hole"


@scenario
async def test_a_recorder_that_dies_leaves_a_gap_and_a_recording_that_plays(
    tmp_path: Path,
) -> None:
    async with world(tmp_path) as w:
        await people(w, "ann")
        event = await w.live()
        await w.system.recordings.start("ann", event, from_start=False)
        await until_kept(w, "ann", 10.0, within_s=30.0)
        before = await kept(w, "ann")
        (recorder,) = [name for name in w.states() if "recorder" in name]
        await w.kill(recorder)
        await until_kept(w, "ann", before.duration_s + 20.0, within_s=60.0)
        index = await w.system.recordings.index(await extent(w, "ann"))
        assert [one.is_break for one in index.segments].count(True) == 1
        times = [one.began_s for one in index.segments]
        assert times == sorted(times)
        gap = next(n for n, one in enumerate(index.segments) if one.is_break)
        assert index.segments[gap].began_s > index.segments[gap - 1].ended_s


@scenario
async def test_a_drained_node_hands_its_recording_over(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await people(w, "ann")
        event = await w.live()
        recording = await w.system.recordings.start("ann", event, from_start=True)
        began_s = w.clock.now_s()
        await until_kept(w, "ann", 10.0, within_s=30.0)
        await w.delivery.nodes.schedule("pe1", Scheduling.DRAINING, by="op")
        await until_kept(w, "ann", 40.0, within_s=60.0)
        lasted_s = w.clock.now_s() - began_s
        at = w.delivery.recorders
        assert {one.node for one in (await at.all()).values()} == {"c1"}
        one = await kept(w, "ann")
        # Nothing is missing, and no more than a segment is there twice.
        assert lasted_s - 8.0 <= one.duration_s <= lasted_s + 2.0
        await w.system.recordings.stop("ann", recording.recording.id)
        await until_recorders(w, 0, within_s=TAIL_S + 30.0)


@scenario
async def test_a_recording_that_reaches_the_quota_stops_and_viewers_go_on(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        # The least that can be set lasts a quarter of an hour of these recorders' silence.
        w.system.recordings.capturing.quota_bytes = 20_000
        await people(w, "ann", "bob")
        event = await w.live()
        ticket = await w.watch(event, "pe4")
        await w.system.recordings.start("ann", event, from_start=False)
        await until_kept(w, "ann", 10.0, within_s=30.0)

        async def is_stopped() -> bool:
            return (await kept(w, "ann")).recording.until_s is not None

        await until(is_stopped, within_s=150.0, why="ann's quota is reached")
        stopped = await kept(w, "ann")
        assert stopped.problem == "It was stopped: your recordings take as many bytes as they may."
        assert stopped.size >= 20_000
        await until_recorders(w, 0, within_s=TAIL_S + 30.0)
        assert await w.arrives(ticket)
        assert (await w.system.catalogue.event(event)).state is EventState.LIVE
        await w.system.recordings.start("bob", event, from_start=False)
        await until_kept(w, "bob", 10.0, within_s=30.0)
        assert await w.arrives(ticket)
