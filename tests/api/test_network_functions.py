"""Functions that streams meet on their way, over REST."""

import asyncio
import operator
from functools import partial
from typing import Any

import pytest

from support.steered import MAC, Net
from support.switchboard import INSIDE, OUTSIDE
from support.waiting import until
from umbel.kit.clock import SystemClock
from umbel.network.drivers.fake.switch import Packet, Plug
from umbel.network.events import Event, FunctionAppeared, FunctionLeft
from umbel.network.operator.functions import Location
from umbel.network.operator.service import OperatorService
from umbel.network.operator.store import OperatorStore
from umbel.network.switching.program import Field

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
    assert told == {**GUEST, "name": "mixer", "function": None, "image": None, "on_path": True}
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
    assert told["code"] == "umbel.no_such_inline_function"


async def test_observers_are_told_of_a_function_that_an_operator_runs(net: Net) -> None:
    seen: list[Event] = []
    net.here.system.network.watch(seen.append)
    at = {"function": "mixer", "role": "inline"}
    await net.ask("PUT", "/functions/mixer", json=GUEST)
    await net.ask("PUT", "/functions/mixer", json={**GUEST, "port": 7001})
    await net.ask("PUT", "/functions/mixer", json={**GUEST, "node": "c2"})
    await net.ask("DELETE", "/functions/mixer", 204)
    assert [event for event in seen if event.kind.startswith("function")] == [
        FunctionAppeared(node="c1", **at),
        FunctionLeft(node="c1", **at),
        FunctionAppeared(node="c2", **at),
        FunctionLeft(node="c2", **at),
    ]


async def test_rules_follow_the_platforms_own_function_wherever_it_runs(net: Net) -> None:
    await net.drawn()
    functions = net.here.system.network.operator.functions
    running = asyncio.create_task(functions.run())

    async def at() -> set[str]:
        return await met_at(net)

    try:
        asked = {"stream": "feed", "port": 7000, "function": "forwarder-c1-1"}
        told = await net.ask("PUT", "/functions/relay", json=asked)
        assert (told["node"], told["on_path"]) == (None, False)
        await net.path()
        for node in ("c1", "c2"):  # it appears and moves
            functions.observe({"forwarder-c1-1": Location(node=node, address="10.97.6.1")})
            await until(at, partial(operator.eq, {node}))
        functions.observe({})
        await until(at, lambda found: not found)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_functions_outlive_the_control_plane(net: Net) -> None:
    await net.drawn()
    await net.path()
    await net.ask("PUT", "/functions/mixer", json=GUEST)
    overlay = net.fabric.overlay
    await net.fabric.change(overlay.set_processes("feed", {}))
    assert await met_at(net) == set()
    store = OperatorStore(net.here.system.database)
    again = OperatorService(
        net.here.system.network.operator.inspection.topology, store, SystemClock(), net.fabric
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
        ({"stream": "two words"}, 422, "umbel.unprocessable"),
        ({"stream": "-x"}, 422, "umbel.unprocessable"),
    ],
)
async def test_a_function_that_cannot_be_met_is_refused(
    net: Net, changes: dict[str, Any], status: int, code: str
) -> None:
    told = await net.refused("PUT", "/functions/mixer", status, json={**GUEST, **changes})
    assert told["code"] == code
    assert await net.ask("GET", "/functions") == []


async def test_an_events_stream_meets_a_function_too(net: Net) -> None:
    answer = await net.ask("PUT", "/functions/mixer", json={**GUEST, "stream": "ev_x"})
    assert (answer["stream"], answer["on_path"]) == ("ev_x", False)


async def test_a_name_of_a_guests_function_leaves_room_for_its_id(net: Net) -> None:
    given = {"stream": "feed", "port": 7000, "node": "c1", "image": "relay"}
    answer = await net.ask("PUT", f"/functions/{'a' * 57}", json=given)
    assert answer["function"] == f"inline-{'a' * 57}"
    await net.refused("PUT", f"/functions/{'a' * 58}", 422, json=given)


async def test_a_stream_meets_one_function_at_a_node(net: Net) -> None:
    await net.ask("PUT", "/functions/mixer", json=GUEST)
    told = await net.refused("PUT", "/functions/other", 409, json={**GUEST, "port": 7001})
    assert told["code"] == "umbel.inline_function_exists"
    await net.ask("PUT", "/functions/other", json={**GUEST, "stream": "feed2"})


PACKET: dict[Field, int | str] = {
    Field.ETH_DST: "01:00:5e:01:02:03",
    Field.ETH_TYPE: 0x0800,
    Field.IP_PROTO: 17,
    Field.IPV4_SRC: "192.0.2.77",
    Field.IPV4_DST: "239.1.2.3",
    Field.UDP_SRC: 999,
    Field.UDP_DST: 5004,
}


def _answered(answer: Packet | None, _packet: Packet) -> Packet | None:
    return answer


def received(net: Net, *nodes: str) -> set[tuple[str, str, bool]]:
    """A packet of the stream: who outside gets it, and whether a function took it. Functions run
    at these nodes."""
    for node in net.wires.sites:
        answer = {**PACKET, Field.UDP_SRC: 777} if node in nodes else None
        net.wires.net.attach(Plug(node=node, port=INSIDE), partial(_answered, answer))
    copies, _ = net.wires.net.send(Plug(node="pe1", port=OUTSIDE), PACKET)
    return {
        (one.at.node, str(one.packet[Field.IPV4_DST]), one.packet[Field.UDP_SRC] == 777)
        for one in copies
        if one.at.port == OUTSIDE
    }


async def test_a_path_moves_with_its_function_and_nothing_arrives_unprocessed(net: Net) -> None:
    path = f"/paths/{(await net.path())['id']}"
    await net.ask("PUT", "/functions/mixer", json={**GUEST, "node": "pe4"})
    old, new = ("pe4", "192.0.2.4", True), ("pe5", "192.0.2.5", True)
    assert received(net, "pe4") == {old}
    coming = {"leaf": "pe5", "receiver": {"address": "192.0.2.5", "mac": MAC}}
    await net.ask("POST", f"{path}/move", json=coming)
    assert received(net, "pe4") == {old}
    told = await net.refused("POST", f"{path}/move/commit", 409)
    assert told["code"] == "umbel.invalid_move"
    await net.ask("PUT", "/functions/mixer", json={**GUEST, "node": "pe5"})
    assert received(net) == set()  # nothing runs for a moment
    assert received(net, "pe5") == {new}
    await net.ask("POST", f"{path}/move/commit")
    assert received(net, "pe5") == {new}


async def test_a_function_that_is_removed_while_its_path_moves_holds_nothing_up(net: Net) -> None:
    path = f"/paths/{(await net.path())['id']}"
    await net.ask("PUT", "/functions/mixer", json={**GUEST, "node": "pe4"})
    coming = {"leaf": "pe5", "receiver": {"address": "192.0.2.5", "mac": MAC}}
    await net.ask("POST", f"{path}/move", json=coming)
    await net.ask("DELETE", "/functions/mixer", 204)
    assert received(net) == {("pe4", "192.0.2.4", False), ("pe5", "192.0.2.5", False)}
    await net.ask("POST", f"{path}/move/commit")
    assert received(net) == {("pe5", "192.0.2.5", False)}
