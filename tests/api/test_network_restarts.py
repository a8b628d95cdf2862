"""What outlives the control plane of drawings and paths, and what comes in between."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

from support.http import make_system
from support.overlaid import TERMS
from support.overlay_run import DRAWING, LINKS
from support.steered import ASKED, MAC, Net
from support.switchboard import MemoryBridges
from support.waiting import until
from umbel.kit.clock import SystemClock
from umbel.kit.db import Database
from umbel.network.drivers.openflow.fabric import OpenFlowFabric
from umbel.network.operator.model import PathRequest
from umbel.network.operator.service import OperatorService
from umbel.network.operator.store import OperatorStore
from umbel.network.overlay.spanning import Role
from umbel.network.overlay.streams import StreamIntent


async def test_drawing_and_paths_outlive_the_control_plane(net: Net, tmp_path: Path) -> None:
    drawn = await net.drawn()
    made = await net.path()
    await net.fabric.close()
    again = OpenFlowFabric(
        net.wires.sites, DRAWING, MemoryBridges(net.wires), net.wires.board, TERMS, SystemClock()
    )
    await again.start()
    try:
        system = make_system(net.here.system.database, tmp_path, again)
        await system.network.operator.restore()
        here = replace(net, here=replace(net.here, system=system), fabric=again)
        net.here.app.state.system = system
        assert await here.ask("GET", "/topology") == drawn
        assert await here.ask("GET", "/paths") == [made]
        assert net.send() == {("pe4", "192.0.2.4", 6000)}
    finally:
        await again.close()


async def test_what_cannot_be_restored_is_shown(net: Net) -> None:
    await net.path(leaf="pe2", receiver={"address": "192.0.2.3", "mac": MAC})
    await net.drawn()  # without pe2
    (left,) = await net.ask("GET", "/paths")
    assert left["carried"] is False
    assert "pe2" in left["error"]


async def restarted(net: Net, folder: Path, before: OpenFlowFabric) -> Net:
    """A control plane over `before`'s switches and the same rows, after what came before."""
    system = make_system(net.here.system.database, folder, before)
    await system.network.operator.restore()
    net.here.app.state.system = system
    return replace(net, here=replace(net.here, system=system), fabric=before)


async def test_a_path_that_is_not_drawn_at_a_restart_swims_when_it_is(
    net: Net, tmp_path: Path
) -> None:
    roles = {**DRAWING.roles, "pe1": Role.ROOT}
    whole = {
        "nodes": [{"name": name, "role": role.value} for name, role in roles.items()],
        "links": [{"a": a, "b": b} for a, b in LINKS],
    }
    made = await net.path(leaf="pe2", receiver={"address": "192.0.2.3", "mac": MAC})
    await net.drawn()  # without pe2
    await net.fabric.close()
    again = OpenFlowFabric(
        net.wires.sites, DRAWING, MemoryBridges(net.wires), net.wires.board, TERMS, SystemClock()
    )
    await again.start()
    try:
        here = await restarted(net, tmp_path, again)
        (left,) = await here.ask("GET", "/paths")
        assert (left["id"], left["carried"]) == (made["id"], False)
        assert "pe2" in left["error"]
        await here.ask("PUT", "/topology", json=whole)
        assert await here.ask("GET", "/paths") == [made]
        assert net.send() == {("pe2", "192.0.2.3", 5004)}
    finally:
        await again.close()


async def test_a_path_whose_address_was_taken_at_a_restart_says_so(
    net: Net, tmp_path: Path
) -> None:
    made = await net.path()
    other = {**ASKED, "stream": "other", "target": {"address": "239.1.2.4", "port": 5004}}
    await net.ask("POST", "/paths", 201, json=other)
    await net.fabric.close()
    again = OpenFlowFabric(
        net.wires.sites, DRAWING, MemoryBridges(net.wires), net.wires.board, TERMS, SystemClock()
    )
    await again.start()
    try:
        theirs = replace(again.stream("theirs"), target="239.1.2.3", port=5004)
        await again.change(again.overlay.carry(StreamIntent(stream=theirs, root="pe2")))
        here = await restarted(net, tmp_path, again)
        left = {path["id"]: path for path in await here.ask("GET", "/paths")}
        assert {path["stream"]: path["carried"] for path in left.values()} == {
            "feed": False,
            "other": True,
        }
        assert "remove it and add it again" in left[made["id"]]["error"]
        await here.ask("DELETE", f"/paths/{made['id']}", 204)
    finally:
        await again.close()


class SlowStore(OperatorStore):
    """Meanwhile something happens."""

    def __init__(self, database: Database, meanwhile: Callable[[], Awaitable[object]]) -> None:
        super().__init__(database)
        self._meanwhile = meanwhile

    async def add(self, asked: PathRequest) -> None:
        await super().add(asked)
        await self._meanwhile()


def slowed(net: Net, meanwhile: Callable[[], Awaitable[object]]) -> None:
    old = net.here.system
    store = SlowStore(old.database, meanwhile)
    nodes = old.network.topology
    operator = OperatorService(nodes.current, store, old.clock, net.fabric)
    net.here.app.state.system = replace(old, network=replace(old.network, operator=operator))


async def test_a_link_that_is_lost_while_a_path_is_stored_stays_lost(net: Net) -> None:
    await net.drawn()

    async def lost() -> None:
        net.wires.lose("c1", "pe3")
        await until(lambda: dead(net), bool)

    slowed(net, lost)
    made = await net.path(leaf="pe3", receiver={"address": "192.0.2.3", "mac": MAC})
    assert made["links"] == [["pe1", "c1"], ["c1", "c2"], ["c2", "pe3"]]
    assert net.send() == {("pe3", "192.0.2.3", 5004)}


async def dead(net: Net) -> bool:
    return bool(net.fabric.overlay.link_state.dead)


async def test_of_two_requests_for_one_stream_at_once_one_is_refused(net: Net) -> None:
    async def other() -> None:
        theirs = StreamIntent(stream=net.fabric.stream("feed"), root="pe2")
        await net.fabric.change(net.fabric.overlay.carry(theirs))

    slowed(net, other)
    told = await net.refused("POST", "/paths", 409, json=ASKED)
    assert told["code"] == "umbel.stream_taken"
    assert await net.ask("GET", "/paths") == []
