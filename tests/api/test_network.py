"""The network over REST: the real fabric over switches in memory, and the loopback's answers."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from support.http import World, make_system, world
from support.overlaid import DRAWING, LINKS, TERMS
from support.switchboard import OUTSIDE, MemoryBridges, sites
from support.switchboard import World as Wires
from support.waiting import until
from umbel.kit.clock import SystemClock
from umbel.kit.db import Database
from umbel.network.drivers.openflow.fabric import OpenFlowFabric
from umbel.network.drivers.switch import Plug
from umbel.network.guests import Spot
from umbel.network.model import Endpoint, Field, Hop
from umbel.network.northbound import Northbound
from umbel.network.overlay import Wish
from umbel.network.spanning import Role
from umbel.network.store import AskedPath, WishStore

NET = "/api/v1/network"
MAC = "02:00:00:00:00:aa"
DRAWN = {
    "nodes": [
        {"name": "pe1", "role": "root"},
        {"name": "c1", "role": "relay"},
        {"name": "c2", "role": "relay"},
        {"name": "pe3", "role": "leaf"},
        {"name": "pe4", "role": "leaf"},
        {"name": "pe5"},
    ],
    "links": [
        {"a": "pe1", "b": "c1"},
        {"a": "c1", "b": "c2"},
        {"a": "c1", "b": "pe3"},
        {"a": "c2", "b": "pe3"},
        {"a": "c2", "b": "pe4"},
        {"a": "c2", "b": "pe5"},
    ],
}
ASKED = {
    "stream": "feed",
    "root": "pe1",
    "target": {"address": "239.1.2.3", "port": 5004},
    "leaf": "pe4",
    "receiver": {"address": "192.0.2.4", "mac": MAC, "port": 6000},
}


@dataclass
class Net:
    """The API over switches in memory."""

    here: World
    wires: Wires
    fabric: OpenFlowFabric

    async def ask(self, method: str, path: str, status: int = 200, **body: Any) -> Any:
        headers = self.here.as_("operator")
        answer = await self.here.client.request(method, NET + path, headers=headers, **body)
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None

    async def refused(self, method: str, path: str, status: int, **body: Any) -> dict[str, Any]:
        told: dict[str, Any] = await self.ask(method, path, status, **body)
        return told

    async def drawn(self) -> Any:
        return await self.ask("PUT", "/topology", json=DRAWN)

    async def path(self, **changes: Any) -> Any:
        return await self.ask("POST", "/paths", 201, json={**ASKED, **changes})

    def send(self, root: str = "pe1") -> set[tuple[str, str, int]]:
        """A packet of the stream from outside: (node, address, port) of what left to outside."""
        packet = {
            Field.ETH_DST: "01:00:5e:01:02:03",
            Field.ETH_TYPE: 0x0800,
            Field.IP_PROTO: 17,
            Field.IPV4_SRC: "192.0.2.77",
            Field.IPV4_DST: "239.1.2.3",
            Field.UDP_SRC: 999,
            Field.UDP_DST: 5004,
        }
        copies, _ = self.wires.net.send(Plug(node=root, port=OUTSIDE), packet)
        assert {copy.at.port for copy in copies} <= {OUTSIDE}
        assert all(copy.packet[Field.ETH_DST] == MAC for copy in copies)
        found = [
            (c.at.node, str(c.packet[Field.IPV4_DST]), int(c.packet[Field.UDP_DST])) for c in copies
        ]
        assert len(found) == len(set(found))
        return set(found)


@asynccontextmanager
async def steered(database: Database, folder: Path, wires: Wires) -> AsyncIterator[Net]:
    bridges, clock = MemoryBridges(wires), SystemClock()
    fabric = OpenFlowFabric(wires.sites, DRAWING, bridges, wires.board, TERMS, clock)
    await fabric.start()
    try:
        system = make_system(database, folder, fabric)
        async with world(system, static=folder / "no-build") as here:
            yield Net(here, wires, fabric)
    finally:
        await fabric.close()


@pytest.fixture
async def net(sqlite: Database, tmp_path: Path) -> AsyncIterator[Net]:
    async with steered(sqlite, tmp_path, Wires(sites(tuple(DRAWING.roles), LINKS))) as made:
        yield made


# -- drawing --------------------------------------------------------------------------------


async def test_a_cycle_is_drawn_and_its_heavier_link_becomes_the_spare(net: Net) -> None:
    told = await net.drawn()
    assert told["programmed"] is True
    assert told["root"] == "pe1"
    assert sorted(map(tuple, told["tree"])) == [
        ("c1", "c2"),
        ("c1", "pe3"),
        ("c2", "pe4"),
        ("pe1", "c1"),
    ]
    assert [sorted(link) for link in told["spare"]] == [["c2", "pe3"]]
    assert told["cut"] == ["pe5"]
    nodes = {node["name"]: node for node in told["nodes"]}
    assert nodes["pe4"] == {"name": "pe4", "role": "leaf", "parent": "c2", "in_tree": True}
    assert nodes["pe5"] == {"name": "pe5", "role": "none", "parent": None, "in_tree": False}
    assert nodes["pe2"]["role"] is None
    assert await net.ask("GET", "/topology") == told


async def test_every_problem_of_a_drawing_is_told_at_once(net: Net) -> None:
    before = await net.ask("GET", "/topology")
    wrong = {
        "nodes": [
            {"name": "pe1", "role": "root"},
            {"name": "pe2", "role": "root"},
            {"name": "c1", "role": "relay"},
            {"name": "c1", "role": "relay"},
            {"name": "pe3", "role": "leaf"},
            {"name": "moon", "role": "leaf"},
        ],
        "links": [
            {"a": "pe1", "b": "c1"},
            {"a": "c1", "b": "pe1"},
            {"a": "c1", "b": "c1"},
            {"a": "c1", "b": "pe9"},
            {"a": "pe1", "b": "pe2"},
            {"a": "c1", "b": "moon"},
        ],
    }
    told = await net.refused("PUT", "/topology", 422, json=wrong)
    assert told["code"] == "umbel.bad_drawing"
    problems = "\n".join(told["details"]["problems"])
    for part in (
        "node c1: drawn 2 times",
        "node pe2: a second root beside pe1",
        "link c1-c1",
        "pe9",
        "leaf pe3: no links lead to it",
        "node moon: the network has no such node",
        "link pe1-pe2: the network does not join them",
    ):
        assert part in problems
    assert any("c1-pe1" in p or "pe1-c1" in p for p in told["details"]["problems"])
    assert len(told["details"]["problems"]) == 8
    assert await net.ask("GET", "/topology") == before


async def test_a_drawing_without_a_root_is_refused(net: Net) -> None:
    rootless = {"nodes": [{"name": "pe1", "role": "leaf"}], "links": []}
    told = await net.refused("PUT", "/topology", 422, json=rootless)
    assert told["details"]["problems"] == ["no node is the root"]


# -- what there is --------------------------------------------------------------------------


async def test_switches_with_their_ports(net: Net) -> None:
    await net.drawn()
    switches = {one["node"]: one for one in await net.ask("GET", "/switches")}
    assert set(switches) == set(DRAWING.roles)
    pe4 = switches["pe4"]
    assert (pe4["connected"], pe4["datapath_id"]) == (True, "0000756d62000004")
    assert {(p["name"], p["live"]) for p in pe4["ports"]} >= {("to-c2", True), ("ov0", True)}
    net.wires.lose("c2", "pe4")
    (port,) = [
        port
        for one in await net.ask("GET", "/switches")
        if one["node"] == "pe4"
        for port in one["ports"]
        if port["name"] == "to-c2"
    ]
    assert port["live"] is False
    net.wires.leave("pe4")
    switches = {one["node"]: one for one in await net.ask("GET", "/switches")}
    assert switches["pe4"]["connected"] is False


async def test_links_are_tree_spare_or_not_drawn_up_or_down(net: Net) -> None:
    await net.drawn()
    await net.path()
    links = {frozenset((one["a"], one["b"])): one for one in await net.ask("GET", "/links")}
    assert len(links) == len(LINKS)
    told = {"-".join(sorted(ends)): (one["use"], one["state"]) for ends, one in links.items()}
    assert told["c1-pe1"] == ("tree", "up")
    assert told["c2-pe5"] == ("cut", "unwatched")
    assert told["c1-pe2"] == ("undrawn", "unwatched")
    assert told["c2-pe3"][0] == "spare"
    assert links[frozenset(("c2", "pe4"))]["streams"] == ["feed"]
    assert links[frozenset(("c1", "pe3"))]["streams"] == []
    net.wires.lose("c1", "pe3")

    async def down() -> dict[str, Any]:
        found = await net.ask("GET", "/links")
        return {"-".join(sorted((one["a"], one["b"]))): one for one in found}

    found = await until(down, lambda now: now["c1-pe3"]["state"] == "down")
    assert (found["c1-pe3"]["use"], found["c2-pe3"]["use"]) == ("spare", "tree")


# -- paths ----------------------------------------------------------------------------------


async def test_a_stream_sinks_until_a_path_is_asked_for_and_swims_along_it(net: Net) -> None:
    await net.drawn()
    assert net.send() == set()
    made = await net.path()
    assert made | {"id": "", "asked_at": ""} == {
        "id": "",
        "asked_at": "",
        "stream": "feed",
        "root": "pe1",
        "sender": "outside",
        "target": {"address": "239.1.2.3", "port": 5004},
        "leaf": "pe4",
        "receiver": {"kind": "unicast", "address": "192.0.2.4", "mac": MAC, "port": 6000},
        "carried": True,
        "error": "",
        "links": [["pe1", "c1"], ["c1", "c2"], ["c2", "pe4"]],
        "moving": None,
    }
    assert net.send() == {("pe4", "192.0.2.4", 6000)}
    assert await net.ask("GET", "/paths") == [made]
    assert await net.ask("GET", f"/paths/{made['id']}") == made
    other = await net.path(leaf="pe3", receiver={"address": "192.0.2.3", "mac": MAC})
    assert net.send() == {("pe4", "192.0.2.4", 6000), ("pe3", "192.0.2.3", 5004)}
    await net.ask("DELETE", f"/paths/{made['id']}", 204)
    assert net.send() == {("pe3", "192.0.2.3", 5004)}
    await net.ask("DELETE", f"/paths/{other['id']}", 204)
    assert net.send() == set()
    assert await net.ask("GET", "/paths") == []
    gone = await net.refused("DELETE", f"/paths/{made['id']}", 404)
    assert gone["code"] == "umbel.no_such_network_path"


@pytest.mark.parametrize(
    ("receiver", "kind", "mac"),
    [
        ({"address": "239.9.9.9"}, "multicast", "01:00:5e:09:09:09"),
        ({"address": "255.255.255.255"}, "broadcast", "ff:ff:ff:ff:ff:ff"),
        ({"address": "192.0.2.255", "mac": "ff:ff:ff:ff:ff:ff"}, "broadcast", "ff:ff:ff:ff:ff:ff"),
    ],
)
async def test_receivers_of_every_kind(
    net: Net, receiver: dict[str, str], kind: str, mac: str
) -> None:
    await net.drawn()
    made = await net.path(receiver=receiver)
    assert (made["receiver"]["kind"], made["receiver"]["mac"]) == (kind, mac)
    assert made["carried"] is True


async def test_an_address_is_allotted_where_none_is_asked_for(net: Net) -> None:
    made = await net.path(target=None)
    assert made["target"]["address"].startswith("10.203.")
    again = await net.path(target=None, leaf="pe5")
    assert again["target"] == made["target"]


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"leaf": "moon"}, 422, "umbel.bad_carriage"),
        ({"root": "moon"}, 422, "umbel.bad_carriage"),
        ({"receiver": {"address": "192.0.2.4"}}, 422, "umbel.bad_carriage"),
        ({"receiver": {"address": "nowhere"}}, 422, "umbel.unprocessable"),
        ({"stream": "ev_live"}, 422, "umbel.unprocessable"),
        ({"root": "pe2"}, 409, "umbel.stream_taken"),
        ({"target": {"address": "239.1.2.4", "port": 5004}}, 409, "umbel.stream_taken"),
        ({}, 409, "umbel.stream_taken"),
        ({"stream": "other"}, 422, "umbel.bad_carriage"),
    ],
)
async def test_paths_that_cannot_be(
    net: Net, changes: dict[str, Any], status: int, code: str
) -> None:
    if changes.get("root") != "moon" and changes.get("leaf") != "moon":
        await net.path()
    told = await net.refused("POST", "/paths", status, json={**ASKED, **changes})
    assert told["code"] == code
    assert len(await net.ask("GET", "/paths")) <= 1


async def test_a_stream_that_delivery_carries_is_not_the_operators(net: Net) -> None:
    end = Endpoint(node="pe4", address="10.99.4.1", port=7000)
    await net.fabric.ensure("feed", [Hop(source_node="pe1", target=end)])
    told = await net.refused("POST", "/paths", 409, json=ASKED)
    assert told["code"] == "umbel.stream_taken"


async def test_what_a_switch_refuses_is_shown_on_the_path(net: Net) -> None:
    net.wires.refuses.add(net.fabric.stream("feed").number)
    made = await net.path()
    assert made["carried"] is False
    assert "refuses a rule" in made["error"]
    assert net.send() == set()


async def test_a_path_that_is_cut_off_says_so_and_swims_again(net: Net) -> None:
    made = await net.path()
    net.wires.lose("c2", "pe4")

    async def now() -> Any:
        return await net.ask("GET", f"/paths/{made['id']}")

    cut = await until(now, lambda path: not path["carried"])
    assert cut["error"] == "link c2-pe4 is down"
    net.wires.restore("c2", "pe4")
    await until(now, lambda path: path["carried"])
    assert net.send() == {("pe4", "192.0.2.4", 6000)}


async def test_what_keeps_a_stream_from_one_leaf_is_no_problem_of_another(net: Net) -> None:
    made = await net.path()
    other = await net.path(leaf="pe5", receiver={"address": "192.0.2.5", "mac": MAC})
    net.wires.lose("c2", "pe4")

    async def now() -> Any:
        return {path["id"]: path for path in await net.ask("GET", "/paths")}

    told = await until(now, lambda paths: not paths[made["id"]]["carried"])
    assert told[made["id"]]["error"] == "link c2-pe4 is down"
    assert told[other["id"]] == other
    assert net.send() >= {("pe5", "192.0.2.5", 5004)}


# -- moves ----------------------------------------------------------------------------------

COMING = {"leaf": "pe5", "receiver": {"address": "192.0.2.5", "mac": MAC, "port": 6001}}
BOTH = {("pe4", "192.0.2.4", 6000), ("pe5", "192.0.2.5", 6001)}


async def test_a_leaf_moves_with_both_places_served_in_between(net: Net) -> None:
    made = await net.path()
    path = f"/paths/{made['id']}"
    moving = await net.ask("POST", f"{path}/move", json=COMING)
    assert (moving["leaf"], moving["moving"]["leaf"]) == ("pe4", "pe5")
    assert net.send() == BOTH
    done = await net.ask("POST", f"{path}/move/commit")
    assert (done["id"], done["leaf"], done["moving"]) == (made["id"], "pe5", None)
    assert net.send() == {("pe5", "192.0.2.5", 6001)}
    assert await net.ask("GET", path) == done
    refused = await net.refused("POST", f"{path}/move/commit", 409)
    assert refused["code"] == "umbel.bad_move"


async def test_a_move_is_taken_back(net: Net) -> None:
    path = f"/paths/{(await net.path())['id']}"
    await net.ask("POST", f"{path}/move", json=COMING)
    stays = await net.ask("POST", f"{path}/move/abort")
    assert (stays["leaf"], stays["moving"]) == ("pe4", None)
    assert net.send() == {("pe4", "192.0.2.4", 6000)}
    told = await net.refused("POST", f"{path}/move", 409, json={**COMING, "leaf": "moon"})
    assert told["code"] == "umbel.bad_move"
    lacking = {"leaf": "pe5", "receiver": {"address": "192.0.2.5"}}
    told = await net.refused("POST", f"{path}/move", 422, json=lacking)
    assert told["code"] == "umbel.bad_carriage"


async def test_of_two_paths_the_one_that_moves_is_committed(net: Net) -> None:
    made = await net.path()
    other = await net.path(leaf="pe3", receiver={"address": "192.0.2.3", "mac": MAC})
    await net.ask("POST", f"/paths/{made['id']}/move", json=COMING)
    for what in ("commit", "abort"):
        told = await net.refused("POST", f"/paths/{other['id']}/move/{what}", 409)
        assert told["code"] == "umbel.bad_move"
    there = {"leaf": "pe3", "receiver": {"address": "192.0.2.3", "mac": MAC}}
    told = await net.refused("POST", f"/paths/{made['id']}/move", 409, json=there)
    assert told["code"] == "umbel.bad_move"
    assert net.send() == {*BOTH, ("pe3", "192.0.2.3", 5004)}
    await net.ask("POST", f"/paths/{made['id']}/move/commit")
    assert net.send() == {("pe5", "192.0.2.5", 6001), ("pe3", "192.0.2.3", 5004)}


async def test_a_path_that_is_removed_moves_no_more(net: Net) -> None:
    made = await net.path()
    await net.path(leaf="pe3", receiver={"address": "192.0.2.3", "mac": MAC})
    await net.ask("POST", f"/paths/{made['id']}/move", json=COMING)
    await net.ask("DELETE", f"/paths/{made['id']}", 204)
    assert net.send() == {("pe3", "192.0.2.3", 5004)}


async def test_a_move_to_where_nothing_gets_changes_nothing(net: Net) -> None:
    path = f"/paths/{(await net.path())['id']}"
    before = await net.ask("GET", path)
    net.wires.leave("pe5")
    told = await net.refused("POST", f"{path}/move", 503, json=COMING)
    assert (told["code"], told["details"]["target"]) == ("umbel.no_path", "pe5")
    assert await net.ask("GET", path) == before
    assert net.send() == {("pe4", "192.0.2.4", 6000)}
    net.wires.come("pe5")

    async def moved() -> int:
        answer = await net.here.client.request(
            "POST", f"{NET}{path}/move", headers=net.here.as_("operator"), json=COMING
        )
        return answer.status_code

    await until(moved, lambda status: status == 200)
    net.wires.leave("pe5")
    told = await net.refused("POST", f"{path}/move/commit", 503)
    assert told["code"] == "umbel.no_path"
    assert net.send() == BOTH


# -- rules ----------------------------------------------------------------------------------


async def test_every_rule_is_explained(net: Net) -> None:
    # Of equal links the first drawn is in the tree: c1's link to pe3 is then a spare of c1's.
    first, c1_c2, c1_pe3, c2_pe3, *rest = DRAWN["links"]
    told = await net.ask(
        "PUT", "/topology", json={**DRAWN, "links": [first, c1_c2, c2_pe3, c1_pe3, *rest]}
    )
    assert [sorted(link) for link in told["spare"]] == [["c1", "pe3"]]
    await net.path()
    await net.path(leaf="pe3", receiver={"address": "192.0.2.3", "mac": MAC})
    rules = await net.ask("GET", "/flows")
    held = sum(len(switch.program.rules) for switch in net.wires.net.switches.values())
    assert len(rules) == held
    for rule in rules:
        assert rule["says"]
        assert (rule["stream"] == "feed") == (rule["priority"] > 0)
    here = await net.ask("GET", "/flows", params={"node": "c1"})
    assert {rule["node"] for rule in here} == {"c1"}
    (known,) = [rule for rule in here if rule["step"] == "classifier" and rule["stream"]]
    assert (known["root"], known["leaves"]) == ("pe1", ["pe3", "pe4"])
    assert "by the tunnel from pe1" in known["says"]
    (way,) = [rule for rule in here if rule["step"] == "path" and rule["stream"]]
    assert "to the tunnel to c2, or while that is dead to the tunnel to pe3" in way["says"]
    (end,) = [
        rule
        for rule in await net.ask("GET", "/flows", params={"node": "pe4"})
        if rule["step"] == "leaf" and rule["stream"]
    ]
    assert "to the network outside, for 192.0.2.4:6000" in end["says"]
    told = await net.refused("GET", "/flows", 404, params={"node": "moon"})
    assert told["code"] == "umbel.not_in_topology"


# -- functions on the way -------------------------------------------------------------------

GUEST = {"stream": "feed", "port": 7000, "node": "c1", "address": "10.97.6.1"}


async def met_at(net: Net) -> set[str]:
    """The nodes where the stream is led out of its way, to a function."""
    rules = await net.ask("GET", "/flows")
    return {r["node"] for r in rules if r["step"] == "redirect" and r["stream"] == "feed"}


async def test_rules_follow_a_function_that_appears_moves_and_dies(net: Net) -> None:
    await net.drawn()
    await net.path()
    assert await met_at(net) == set()
    told = await net.ask("PUT", "/functions/mixer", json=GUEST)
    assert told == {**GUEST, "name": "mixer", "function": None, "met": True}
    assert await met_at(net) == {"c1"}
    await net.ask("PUT", "/functions/mixer", json={**GUEST, "node": "c2"})
    assert await met_at(net) == {"c2"}
    assert [(one["name"], one["node"]) for one in await net.ask("GET", "/functions")] == [
        ("mixer", "c2")
    ]
    await net.ask("DELETE", "/functions/mixer", 204)
    assert await met_at(net) == set()
    assert net.send() == {("pe4", "192.0.2.4", 6000)}
    told = await net.refused("DELETE", "/functions/mixer", 404)
    assert told["code"] == "umbel.no_such_guest"


async def test_rules_follow_the_platforms_own_function_wherever_it_runs(net: Net) -> None:
    await net.drawn()
    guests = net.here.system.network.guests
    running = asyncio.create_task(guests.run())

    async def at() -> set[str]:
        return await met_at(net)

    try:
        asked = {"stream": "feed", "port": 7000, "function": "forwarder-c1-1"}
        told = await net.ask("PUT", "/functions/relay", json=asked)
        assert (told["node"], told["met"]) == (None, False)
        await net.path()
        for node in ("c1", "c2"):  # it appears and moves
            guests.see({"forwarder-c1-1": Spot(node=node, address="10.97.6.1")})
            await until(at, lambda found, node=node: found == {node})
        guests.see({})
        await until(at, lambda found: not found)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_functions_outlive_the_control_plane(net: Net) -> None:
    await net.drawn()
    await net.path()
    await net.ask("PUT", "/functions/mixer", json=GUEST)
    overlay = net.fabric.overlay
    await net.fabric.change(overlay.meet("feed", {}))
    assert await met_at(net) == set()
    store = WishStore(net.here.system.database)
    again = Northbound(
        net.here.system.network.inspection.topology, store, SystemClock(), net.fabric
    )
    running = asyncio.create_task(again.run())

    async def at() -> set[str]:
        return await met_at(net)

    try:
        await until(at, lambda found: found == {"c1"})
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"node": "moon"}, 404, "umbel.not_in_topology"),
        ({"node": None}, 422, "umbel.unprocessable"),
        ({"function": "forwarder-c1-1"}, 422, "umbel.unprocessable"),
        ({"port": 0}, 422, "umbel.unprocessable"),
        ({"stream": "ev_x"}, 422, "umbel.unprocessable"),
    ],
)
async def test_a_function_that_cannot_be_met_is_refused(
    net: Net, changes: dict[str, Any], status: int, code: str
) -> None:
    told = await net.refused("PUT", "/functions/mixer", status, json={**GUEST, **changes})
    assert told["code"] == code
    assert await net.ask("GET", "/functions") == []


async def test_a_stream_meets_one_function_at_a_node(net: Net) -> None:
    await net.ask("PUT", "/functions/mixer", json=GUEST)
    told = await net.refused("PUT", "/functions/other", 409, json={**GUEST, "port": 7001})
    assert told["code"] == "umbel.guest_taken"
    await net.ask("PUT", "/functions/other", json={**GUEST, "stream": "feed2"})


# -- a restart ------------------------------------------------------------------------------


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
        await system.network.restore()
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
    await system.network.restore()
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
        await again.change(again.overlay.carry(Wish(stream=theirs, root="pe2")))
        here = await restarted(net, tmp_path, again)
        left = {path["id"]: path for path in await here.ask("GET", "/paths")}
        assert {path["stream"]: path["carried"] for path in left.values()} == {
            "feed": False,
            "other": True,
        }
        assert "remove it and ask anew" in left[made["id"]]["error"]
        await here.ask("DELETE", f"/paths/{made['id']}", 204)
    finally:
        await again.close()


class SlowStore(WishStore):
    """Meanwhile something happens."""

    def __init__(self, database: Database, meanwhile: Callable[[], Awaitable[object]]) -> None:
        super().__init__(database)
        self._meanwhile = meanwhile

    async def add(self, asked: AskedPath) -> None:
        await super().add(asked)
        await self._meanwhile()


def slowed(net: Net, meanwhile: Callable[[], Awaitable[object]]) -> None:
    old = net.here.system
    store = SlowStore(old.database, meanwhile)
    network = Northbound(old.network.inspection.topology, store, old.clock, net.fabric)
    net.here.app.state.system = replace(old, network=network)


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
    return bool(net.fabric.overlay.ground.dead)


async def test_of_two_requests_for_one_stream_at_once_one_is_refused(net: Net) -> None:
    async def other() -> None:
        theirs = Wish(stream=net.fabric.stream("feed"), root="pe2")
        await net.fabric.change(net.fabric.overlay.carry(theirs))

    slowed(net, other)
    told = await net.refused("POST", "/paths", 409, json=ASKED)
    assert told["code"] == "umbel.stream_taken"
    assert await net.ask("GET", "/paths") == []


# -- who may, and the loopback --------------------------------------------------------------


REQUESTS = [
    ("GET", "/topology"),
    ("PUT", "/topology"),
    ("GET", "/switches"),
    ("GET", "/links"),
    ("GET", "/flows"),
    ("GET", "/paths"),
    ("POST", "/paths"),
    ("GET", "/paths/x"),
    ("DELETE", "/paths/x"),
    ("POST", "/paths/x/move"),
    ("POST", "/paths/x/move/commit"),
    ("POST", "/paths/x/move/abort"),
]


@pytest.mark.parametrize("who", ["city", "viewer", None])
@pytest.mark.parametrize(("method", "path"), REQUESTS)
async def test_operators_alone(here: World, who: str | None, method: str, path: str) -> None:
    headers = here.as_(who) if who else {}
    answer = await here.client.request(method, NET + path, headers=headers)
    assert answer.status_code == (403 if who else 401)


async def test_the_loopback_answers_honestly(here: World) -> None:
    operator = here.as_("operator")

    async def get(path: str) -> Any:
        answer = await here.client.get(NET + path, headers=operator)
        assert answer.status_code == 200, answer.text
        return answer.json()

    told = await get("/topology")
    assert (told["programmed"], told["root"], told["tree"]) == (False, None, [])
    assert [node["name"] for node in told["nodes"]] == list(DRAWING.roles)
    assert await get("/switches") == await get("/flows") == await get("/paths") == []
    links = await get("/links")
    assert [(one["a"], one["b"]) for one in links] == list(LINKS)
    assert {(one["use"], one["state"], one["tunnel"]) for one in links} == {
        ("undrawn", "unwatched", False)
    }
    for method, path, body in (("PUT", "/topology", DRAWN), ("POST", "/paths", ASKED)):
        answer = await here.client.request(method, NET + path, json=body, headers=operator)
        assert (answer.status_code, answer.json()["code"]) == (
            409,
            "umbel.network_not_programmed",
        )
    wrong = {"nodes": [{"name": "pe1", "role": "leaf"}], "links": []}
    answer = await here.client.put(f"{NET}/topology", json=wrong, headers=operator)
    assert (answer.status_code, answer.json()["code"]) == (422, "umbel.bad_drawing")
