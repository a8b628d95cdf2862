"""Moves of leaves by the OpenFlow fabric over switches in memory, on virtual time."""

import asyncio

import pytest

from support.overlay_run import (
    SITES,
    at,
    exact,
    hops,
)
from support.switchboard import function
from umbel.network.operator import moves
from umbel.network.overlay import streams
from umbel.network.overlay.moves import InvalidMove
from umbel.network.overlay.streams import Path
from umbel.network.switching.signals import SwitchRefused
from umbel.network.topology.paths import NoPath

pytestmark = pytest.mark.looptime


def place(node: str) -> Path:
    return Path(leaf=node, receiver=streams.local_receiver(function(SITES, node, 7001)))


OLD, NEW = ("pe4", 7001), ("pe5", 7001)


async def test_a_leaf_moves_by_clones_first() -> None:
    async with exact() as run:
        to = await run.carry("ev1", hops("pe1", OLD, ("pe2", 7001)))
        for _ in range(2):
            await moves.prepare(run.fabric, "ev1", place("pe4"), place("pe5"))
            assert run.world.send("pe1", to)[0] == at(OLD, NEW, ("pe2", 7001))
        await run.carry("ev1", hops("pe1", OLD, ("pe2", 7001)))  # its owner says it again
        assert run.world.send("pe1", to)[0] == at(OLD, NEW, ("pe2", 7001))
        with pytest.raises(InvalidMove):
            await moves.prepare(run.fabric, "ev1", place("pe4"), place("pe3"))
        await moves.commit(run.fabric, "ev1")
        assert run.world.send("pe1", to)[0] == at(NEW, ("pe2", 7001))
        run.world.changes.clear()
        assert await run.carry("ev1", hops("pe1", NEW, ("pe2", 7001))) == to
        assert not run.world.changes
        with pytest.raises(InvalidMove):
            await moves.commit(run.fabric, "ev1")
        with pytest.raises(InvalidMove):
            await moves.prepare(run.fabric, "ev1", place("pe4"), place("pe3"))


async def test_a_move_is_taken_back() -> None:
    async with exact() as run:
        to = await run.carry("ev1", hops("pe1", OLD))
        await moves.prepare(run.fabric, "ev1", place("pe4"), place("pe5"))
        await moves.abort(run.fabric, "ev1")
        assert run.world.send("pe1", to)[0] == at(OLD)
        with pytest.raises(InvalidMove):
            await moves.abort(run.fabric, "ev1")


async def test_where_no_clones_can_get_nothing_moves() -> None:
    async with exact() as run:
        to = await run.carry("ev1", hops("pe1", OLD))
        before = {node: switch.program for node, switch in run.world.net.switches.items()}

        async def refused(error: type[Exception], why: str) -> None:
            with pytest.raises(error, match=why):
                await moves.prepare(run.fabric, "ev1", place("pe4"), place("pe5"))
            held = {node: switch.program for node, switch in run.world.net.switches.items()}
            assert held == before
            assert run.world.send("pe1", to)[0] == at(OLD)
            assert not run.fabric.problems

        run.world.refuses.add(run.fabric.stream("ev1").number)
        await refused(SwitchRefused, "refuses a rule")
        run.world.refuses.clear()
        run.world.leave("pe5")
        await refused(NoPath, "the switch of node pe5 is away")
        run.world.come("pe5")
        await asyncio.sleep(0.01)
        await run.carry("ev2", hops("pe1", NEW))
        run.world.lose("c2", "pe5")
        await asyncio.sleep(0.01)
        await run.fabric.remove("ev2")
        await refused(NoPath, "link c2-pe5 is down")


async def test_a_move_is_not_done_while_its_end_is_cut_off() -> None:
    async with exact() as run:
        to = await run.carry("ev1", hops("pe1", OLD))
        await moves.prepare(run.fabric, "ev1", place("pe4"), place("pe5"))
        run.world.lose("c2", "pe5")
        with pytest.raises(NoPath):
            await moves.commit(run.fabric, "ev1")
        await asyncio.sleep(0.01)
        assert run.world.send("pe1", to)[0] == at(OLD)
        run.world.restore("c2", "pe5")
        await asyncio.sleep(5.1)
        await moves.commit(run.fabric, "ev1")
        assert run.world.send("pe1", to)[0] == at(NEW)


async def test_an_old_way_runs_empty_unless_there_is_something_urgent() -> None:
    async with exact() as run:
        await run.carry("ev2", hops("pe1", ("pe3", 7001)))
        to = await run.carry("ev1", hops("pe1", OLD))
        await moves.prepare(run.fabric, "ev1", place("pe4"), place("pe5"))
        old = run.world.net.switches["pe4"]
        for link in ((), ("c1", "pe3")):
            held = old.program
            ending = asyncio.create_task(moves.commit(run.fabric, "ev1"))
            await asyncio.sleep(0.1)
            other = asyncio.create_task(run.fabric.install_extra_rules("", None))  # that can wait
            await asyncio.sleep(0.09)
            assert run.world.send("pe1", to)[0] == at(NEW)
            assert old.program == held
            if link:
                run.world.lose(*link)
                await asyncio.sleep(0)
            await asyncio.sleep(0.005 if link else 0.02)
            assert old.program != held
            await asyncio.gather(ending, other)
            if not link:
                await run.carry("ev1", hops("pe1", OLD))
                await moves.prepare(run.fabric, "ev1", place("pe4"), place("pe5"))
