"""An event is recorded in a smaller picture: a transcoder comes for the recorder alone, or serves
viewers, too; both are lost and come back, wait for room, and go with the last who asked."""

import asyncio
from pathlib import Path

import pytest

from support.virtual import scenario, until
from support.world import World, world
from umbel.catalogue.model import EventEvent, UserRole
from umbel.compute.model import FunctionState, Scheduling
from umbel.delivery.trees.renditions import NoSuchQuality
from umbel.recordings.capturing import TAIL_S
from umbel.recordings.model import Kept, RecordingState

PASSWORD = "correct horse battery"


async def record(w: World, username: str, event: str, quality: str) -> str:
    """Someone new records the event."""
    await w.system.catalogue.add_user(username, PASSWORD, UserRole.VIEWER)
    made = await w.system.recordings.start(username, event, from_start=False, quality=quality)
    return made.recording.id


async def kept(w: World, username: str) -> Kept:
    (one,), _ = await w.system.recordings.of(username)
    return one


async def until_kept(w: World, username: str, seconds: float, within_s: float) -> None:
    async def holds() -> bool:
        return (await kept(w, username)).duration_s >= seconds

    await until(holds, within_s=within_s, why=f"{username} has {seconds} s")


def working(w: World, role: str) -> list[str]:
    """The functions of that role that run."""
    return sorted(f for f, s in w.states().items() if role in f and s is FunctionState.ACTIVE)


async def until_none(w: World, role: str, within_s: float) -> None:
    async def holds() -> bool:
        return not working(w, role)

    await until(holds, within_s=within_s, why=f"no {role} is left")


@pytest.mark.parametrize("policy", ["sls", "consolidation", "qos", "virca"])
@scenario
async def test_nobody_has_to_watch_it(tmp_path: Path, policy: str) -> None:
    async with world(tmp_path, policy=policy) as w:
        event = await w.live()
        before = await w.delivery.tree(event)
        mine = await record(w, "ann", event, "360p")
        await until_kept(w, "ann", 20.0, within_s=60.0)
        assert working(w, "transcoder") == ["transcoder-pe1-1"]
        assert working(w, "recorder") == ["recorder-pe1-1"]
        small = await w.delivery.tree(event, "360p")
        assert {b.role for b in small.branches} == {"transcoder", "recorder"}
        large = await w.delivery.tree(event)
        assert {b.role for b in large.branches} == {"acquirer", "transcoder"}
        await w.system.recordings.stop("ann", mine)
        await until_none(w, "recorder", within_s=TAIL_S + 60.0)
        await until_none(w, "transcoder", within_s=60.0)
        assert (await w.delivery.tree(event)).branches == before.branches
        assert (await kept(w, "ann")).state is RecordingState.READY


@scenario
async def test_each_quality_is_recorded_once(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        event = await w.live()
        await record(w, "ann", event, "360p")
        await record(w, "bob", event, "360p")
        await record(w, "cat", event, "source")
        for username in ("ann", "bob", "cat"):
            await until_kept(w, username, 20.0, within_s=60.0)
        assert set(await w.delivery.recorders.all()) == {event, f"{event}-360p"}
        assert working(w, "transcoder") == ["transcoder-pe1-1"]
        _, ann = await w.system.recordings.extent("ann", (await kept(w, "ann")).recording.id)
        _, bob = await w.system.recordings.extent("bob", (await kept(w, "bob")).recording.id)
        _, cat = await w.system.recordings.extent("cat", (await kept(w, "cat")).recording.id)
        assert ann.capture_id == bob.capture_id != cat.capture_id
        await w.system.catalogue.transition(event, EventEvent.END)
        await w.delivery.end(event)
        await until_none(w, "recorder", within_s=60.0)
        await w.until_functions()
        assert await w.delivery.store.trees() == {}
        for username in ("ann", "bob", "cat"):
            assert (await kept(w, username)).state is RecordingState.READY


@scenario
async def test_viewers_share_its_transcoder_and_may_leave(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        event = await w.live()
        await record(w, "ann", event, "360p")
        await until_kept(w, "ann", 6.0, within_s=60.0)
        viewer = await w.delivery.open_session(event, "pe4", "360p")
        await w.connect(viewer)
        assert await w.arrives(viewer)
        assert len(working(w, "transcoder")) == 1
        await w.delivery.close_session(viewer.session.id)
        await until_none(w, "edge", within_s=60.0)
        had_s = (await kept(w, "ann")).duration_s
        await until_kept(w, "ann", had_s + 20.0, within_s=60.0)
        assert len(working(w, "transcoder")) == 1


@pytest.mark.parametrize("role", ["transcoder", "recorder"])
@scenario
async def test_a_lost_function_comes_back(tmp_path: Path, role: str) -> None:
    async with world(tmp_path) as w:
        event = await w.live()
        await record(w, "ann", event, "360p")
        await until_kept(w, "ann", 6.0, within_s=60.0)
        await w.kill(f"{role}-pe1-1")
        had_s = (await kept(w, "ann")).duration_s
        await until_kept(w, "ann", had_s + 20.0, within_s=120.0)


@scenario
async def test_both_leave_a_node_that_is_drained(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        event = await w.live()
        await record(w, "ann", event, "360p")
        await until_kept(w, "ann", 6.0, within_s=60.0)
        await w.delivery.nodes.schedule("pe1", Scheduling.DRAINING, by="op", within_s=None)

        async def elsewhere() -> bool:
            found = [*working(w, "transcoder"), *working(w, "recorder")]
            return len(found) == 2 and not any("pe1" in function for function in found)

        await until(elsewhere, within_s=120.0, why="both are on another node")
        had_s = (await kept(w, "ann")).duration_s
        await until_kept(w, "ann", had_s + 20.0, within_s=60.0)


@scenario
async def test_a_control_plane_that_dies_goes_on_with_it(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        event = await w.live()
        await record(w, "ann", event, "360p")
        await until_kept(w, "ann", 6.0, within_s=60.0)
        await w.crash()
        await asyncio.sleep(20)
        await w.start()
        await until_kept(w, "ann", 40.0, within_s=200.0)
        assert len(working(w, "transcoder")) == 1


@scenario
async def test_no_room_is_said_until_there_is_some(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        event = await w.live()
        for node in w.delivery.collector.compute.nodes():
            await w.delivery.nodes.schedule(node.name, Scheduling.CORDONED, by="op", within_s=None)
        await record(w, "ann", event, "360p")
        await asyncio.sleep(10)
        waits = await kept(w, "ann")
        assert waits.state is RecordingState.WAITING
        assert "No node has room to transcode this stream" in waits.problem
        assert working(w, "transcoder") == working(w, "recorder") == []
        for node in w.delivery.collector.compute.nodes():
            await w.delivery.nodes.schedule(node.name, Scheduling.OPEN, by="op", within_s=None)
        await until_kept(w, "ann", 6.0, within_s=60.0)
        assert (await kept(w, "ann")).problem == ""


@scenario
async def test_one_of_a_silent_event_waits_for_it(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        event = await w.live()
        point = await w.delivery.open_ingest(event)
        await record(w, "ann", event, "360p")
        await until_kept(w, "ann", 6.0, within_s=60.0)
        w.media.stop_publishing(point.function, event)
        await w.crash()
        await w.start()
        await asyncio.sleep(60)
        had_s = (await kept(w, "ann")).duration_s
        w.media.publish(point.function, event)
        await until_kept(w, "ann", had_s + 10.0, within_s=120.0)


@pytest.mark.parametrize("quality", ["720p", "vp8", "4k"])
@scenario
async def test_what_is_not_on_offer_is_refused(tmp_path: Path, quality: str) -> None:
    async with world(tmp_path) as w:
        event = await w.live()
        with pytest.raises(NoSuchQuality):
            await record(w, "ann", event, quality)
        assert (await w.system.recordings.of("ann"))[0] == []
