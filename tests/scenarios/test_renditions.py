"""An event watched in a smaller picture: its transcoder comes, moves, is lost and goes."""

import asyncio
from pathlib import Path

import pytest

from support.virtual import scenario, until
from support.world import World, world
from umbel.catalogue.model import Event, EventEvent, EventPatch
from umbel.compute.model import FunctionState
from umbel.delivery.model import Ticket
from umbel.delivery.trees.renditions import NoSuchQuality, event_of
from umbel.media.model import StreamRole, VideoCodec
from umbel.network.drivers.fake.fabric import FakeFabric
from umbel.network.topology import document, files


async def watch(w: World, event: str, node: str, quality: str = "360p") -> Ticket:
    ticket = await w.delivery.open_session(event, node, quality)
    await w.connect(ticket)
    return ticket


async def transcoders(w: World) -> list[str]:
    """Those that run."""
    states = w.states().items()
    return sorted(f for f, s in states if "transcoder" in f and s is FunctionState.ACTIVE)


@scenario
async def test_a_viewer_of_a_smaller_picture_gets_it(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        event = await w.live()
        large = await w.watch(event, "pe4")
        small = await watch(w, event, "pe4")
        assert small.session.stream == f"{event}-360p"
        assert small.session.function == large.session.function
        assert small.whep == large.whep.replace(event, f"{event}-360p")
        assert await w.arrives(small)
        assert await w.arrives(large)
        assert await transcoders(w) == ["transcoder-pe4-1"]
        far = await watch(w, event, "pe2")
        assert await w.arrives(far)
        assert await transcoders(w) == ["transcoder-pe4-1"]
        status = await w.delivery.stream(await w.system.catalogue.event(event))
        assert status is not None
        assert (status.qualities, status.viewers) == (("source", "360p"), 3)
        tree = await w.delivery.tree(event, "360p")
        rates = w.delivery.collector.view(await w.delivery.store.trees()).stream_mbps
        assert tree.root is not None
        assert rates[f"{event}-360p"] < rates[event]


@scenario
async def test_both_qualities_are_protected_between_functions_when_asked_for(
    tmp_path: Path,
) -> None:
    async with world(tmp_path, settings={"srtp": True}) as w:
        event, other = await w.live(), await w.live()
        tickets = [await w.watch(event, "pe4"), await watch(w, event, "pe2")]
        tickets.append(await w.watch(other, "pe4"))
        for ticket in tickets:
            assert await w.arrives(ticket)
        keys: dict[str, set[str]] = {event: set(), other: set()}
        for states in w.delivery.collector.streams.values():
            for state in states.values():
                is_blind = state.role is StreamRole.FORWARDER
                assert bool(state.srtp_key_id) is not is_blind
                if not is_blind:
                    keys[event_of(state.stream)].add(state.srtp_key_id)
        assert len(keys[event]) == len(keys[other]) == 1
        assert keys[event] != keys[other]


@scenario
async def test_it_goes_with_its_last_viewer_and_comes_again(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        event = await w.live()
        for _ in range(2):
            small = await watch(w, event, "pe2")
            assert await w.arrives(small)
            await w.delivery.close_session(small.session.id)
            await w.until_functions("acquirer-pe1-1", within_s=30)
            assert (await w.delivery.tree(event, "360p")).branches == ()
            assert [b.role for b in (await w.delivery.tree(event)).branches] == ["acquirer"]
        await w.system.catalogue.transition(event, EventEvent.END)
        await w.delivery.end(event)
        await w.until_functions()
        await asyncio.sleep(2)
        assert await w.delivery.store.trees() == {}


@scenario
async def test_the_end_of_the_event_is_the_end_of_its_renditions(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        event = await w.live()
        await watch(w, event, "pe2")
        await w.system.catalogue.transition(event, EventEvent.END)
        await w.delivery.end(event)
        await w.until_functions()
        assert await w.delivery.store.trees() == {}
        assert await w.delivery.store.sessions() == []


@scenario
async def test_a_killed_transcoder_is_back_and_a_lost_node_gone_around(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        event = await w.live()
        small = await watch(w, event, "pe2")
        await w.kill("transcoder-pe2-1")
        assert not await w.arrives(small)
        await w.until_watched(small, within_s=15)
        assert await transcoders(w) == ["transcoder-pe2-1"]
        w.vim.refuse("pe2")
        await w.kill("transcoder-pe2-1")

        async def is_elsewhere() -> bool:
            root = (await w.delivery.tree(event, "360p")).root
            return root is None or root.node != "pe2"

        await until(is_elsewhere, within_s=60, why="another node makes the rendition")
        again = await watch(w, event, "pe2")
        await w.until_watched(again, within_s=30)


@scenario
async def test_a_restarted_control_plane_goes_on(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        event = await w.live()
        small = await watch(w, event, "pe2")
        before = list(w.spawned)
        await w.crash()
        await w.start()
        await asyncio.sleep(5)
        assert await w.arrives(small)
        assert w.spawned == before


@scenario
async def test_where_switches_copy_a_rendition_has_a_way_of_its_own(tmp_path: Path) -> None:
    fabric = FakeFabric(document.parse(files.builtin("sls")), copies=True)
    async with world(tmp_path, fabric=fabric) as w:
        event = await w.live()
        near, far = await watch(w, event, "pe2"), await watch(w, event, "pe5")
        assert await w.arrives(near)
        assert await w.arrives(far)
        assert set(w.spawned) == {
            "acquirer-pe1-1",
            "transcoder-pe2-1",
            "edge-pe2-1",
            "edge-pe5-1",
        }


@scenario
async def test_what_is_not_on_offer(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        event = await w.live()
        with pytest.raises(NoSuchQuality, match="source, 360p"):
            await w.delivery.open_session(event, "pe2", "720p")
        silent = await w.event("pe3")
        await w.delivery.open_ingest(silent)
        with pytest.raises(NoSuchQuality, match="choose one of source"):
            await w.delivery.open_session(silent, "pe2", "360p")
        assert await transcoders(w) == []


async def allow_vp8(w: World, event: str, *, allowed: bool) -> Event:
    version = (await w.system.catalogue.event(event)).version
    return await w.system.catalogue.change_event(event, version, EventPatch(vp8=allowed))


@scenario
async def test_vp8_is_made_for_those_who_ask_where_the_event_has_it(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        event = await w.live()
        with pytest.raises(NoSuchQuality, match="choose one of source"):
            await w.delivery.open_session(event, "pe2", "vp8")
        status = await w.delivery.stream(await allow_vp8(w, event, allowed=True))
        assert status is not None
        assert status.qualities == ("source", "360p", "vp8")
        assert await transcoders(w) == []
        ticket = await watch(w, event, "pe2", "vp8")
        small = await watch(w, event, "pe2")
        assert await w.arrives(ticket)
        assert ticket.hls is None
        assert small.hls is not None
        assert await transcoders(w) == ["transcoder-pe2-1", "transcoder-pe2-2"]
        stream = ticket.session.stream
        maker = w.media.spec("transcoder-pe2-1", stream)
        assert (maker.codec, maker.height) == (VideoCodec.VP8, 720)
        assert w.media.spec(ticket.session.function, stream).codec is VideoCodec.VP8
        assert w.media.spec(small.session.function, small.session.stream).codec is VideoCodec.H264
        # Who watches goes on; nobody else is let in.
        await allow_vp8(w, event, allowed=False)
        with pytest.raises(NoSuchQuality):
            await w.delivery.open_session(event, "pe2", "vp8")
        assert await w.arrives(ticket)
        await w.delivery.close_session(small.session.id)
        await w.delivery.close_session(ticket.session.id)
        await w.until_functions("acquirer-pe1-1", within_s=30)


PLANNED = {"plan_sample_s": 2.0, "plan_rca_s": 3.0, "plan_virca_s": 10.0, "node_wake_s": 2.0}


@scenario
async def test_transcoding_goes_where_the_plan_says_and_no_viewer_sees_it_go(
    tmp_path: Path,
) -> None:
    async with world(tmp_path, policy="virca", settings=PLANNED) as w:
        event = await w.live()
        first = await watch(w, event, "pe2")
        assert await transcoders(w) == ["transcoder-pe2-1"]
        seen = await seen_until(w, first, "pe2", "draining")
        seen += await seen_until(w, first, "pe2", "draining", least=20)
        moved = await watch(w, event, "pe2")
        assert moved.session.edge_node == "pe1"
        await w.delivery.close_session(first.session.id)
        seen += await seen_until(w, moved, "pe2", "standby")
        assert await transcoders(w) == ["transcoder-pe1-1"]
        assert all(seen), seen
        root = (await w.delivery.tree(event, "360p")).root
        assert root is not None
        assert root.node == "pe1"


async def state_of(w: World, node: str) -> str:
    return next(one.power.value for one in await w.delivery.nodes.list() if one.name == node)


async def seen_until(
    w: World, ticket: Ticket, node: str, state: str, *, least: int = 1
) -> list[bool]:
    """Whether the viewer had the picture, four times a second until the node is in that state."""
    seen: list[bool] = []
    while len(seen) < least or await state_of(w, node) != state:
        await asyncio.sleep(0.25)
        seen.append(await w.arrives(ticket))
        assert len(seen) < 200, f"{node} is not {state}"
    return seen


@scenario
async def test_an_edge_that_feeds_a_transcoder_goes_and_nobody_sees_it(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        event = await w.live()
        large = await w.watch(event, "pe2")
        small = await watch(w, event, "pe2")
        feeder = (await w.delivery.tree(event)).branch("transcoder-pe2-1")
        assert feeder is not None
        assert feeder.parent == "edge-pe2-1"
        await w.delivery.close_session(large.session.id)
        for _ in range(100):
            assert await w.arrives(small)
            await asyncio.sleep(0.1)
        assert (await w.delivery.tree(event)).branch("edge-pe2-1") is None
