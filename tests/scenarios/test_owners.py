"""Two owners on one network: neither touches the other's functions, nor sells its room."""

import asyncio
from pathlib import Path

from support.virtual import scenario, until
from support.world import World, world
from umbel.compute.ledger import NoRoom
from umbel.compute.model import Description, Function, FunctionState, Resources
from umbel.delivery.trees.view import NoCapacity

OTHER = "mano"
GUEST = Description(name="guest", resources=Resources(cores=0.25, memory_mb=64))


def guest(number: int, node: str) -> Function:
    return Function(id=f"guest-{number}", node=node, description=GUEST)


async def is_active(w: World, function: str) -> bool:
    return w.states().get(function) is FunctionState.ACTIVE


@scenario
async def test_two_owners_functions_live_side_by_side(tmp_path: Path) -> None:
    async with world(tmp_path, owners=(OTHER,)) as w:
        event = await w.live("pe1")
        ticket = await w.watch(event, "pe4")
        theirs = guest(1, "pe4")
        compute = w.system.compute
        await compute.ensure(OTHER, {theirs.id: theirs})
        await until(lambda: is_active(w, theirs.id), within_s=5, why="the guest runs")
        await asyncio.sleep(2)
        listed = {f.id: f.owner for f in await w.delivery.functions()}
        assert listed[theirs.id] == OTHER
        assert set(listed.values()) == {OTHER, "delivery"}
        await w.kill(ticket.session.function)  # delivery restarts its own
        await w.until_watched(ticket, within_s=20)
        assert await is_active(w, theirs.id)
        await w.crash()
        await w.start()
        await asyncio.sleep(5)
        assert await is_active(w, theirs.id), "delivery's restart touched it"
        await w.system.compute.ensure(OTHER, {})
        assert theirs.id not in w.states()
        assert await w.arrives(ticket), "the other owner's ensure touched delivery's function"


@scenario
async def test_an_id_of_another_owner_is_gone_around(tmp_path: Path) -> None:
    async with world(tmp_path, owners=(OTHER,)) as w:
        squatter = Function(id="edge-pe4-1", node="c1", description=GUEST)
        await w.system.compute.ensure(OTHER, {squatter.id: squatter})
        event = await w.live("pe1")
        ticket = await w.watch(event, "pe4")
        assert ticket.session.function != squatter.id
        await w.until_watched(ticket, within_s=20)


@scenario
async def test_two_placers_at_once_never_oversell_a_node(tmp_path: Path) -> None:
    async with world(tmp_path, owners=(OTHER,), policy="qos") as w:
        event = await w.live("pe1")
        compute = w.system.compute
        refused = {"viewers": 0, "guests": 0}
        wanted: dict[str, Function] = {}

        async def view(number: int) -> None:
            await asyncio.sleep(number * 0.25)
            try:
                await w.watch(event, f"pe{number % 5 + 1}")
            except NoCapacity:
                refused["viewers"] += 1

        async def place(number: int) -> None:
            one = guest(number, f"pe{number % 5 + 1}")
            await asyncio.sleep(number * 0.2)
            try:
                compute.ledger.reserve(OTHER, [one])
            except NoRoom:
                refused["guests"] += 1
                return
            wanted[one.id] = one
            check(w)
            await compute.ensure(OTHER, dict(wanted))

        async with asyncio.TaskGroup() as group:
            for number in range(30):
                group.create_task(view(number))
            for number in range(100):
                group.create_task(place(number))
        await asyncio.sleep(5)
        check(w)
        assert refused["guests"] > 0, "nobody met a full node: the test proves nothing"
        assert wanted


def check(w: World) -> None:
    for node, room in w.system.compute.ledger.free().items():
        assert room.cores >= -1e-9, f"{node} is oversold: {room}"
        assert room.memory_mb >= -1e-9, f"{node} is oversold: {room}"
