"""The OpenFlow fabric over switches in memory, on virtual time: where every packet goes."""

import asyncio
from collections import Counter
from dataclasses import replace
from functools import partial

import pytest

from support.overlay_run import (
    DRAWING,
    LINKS,
    SITES,
    Run,
    at,
    both,
    exact,
    hops,
    running,
    wires,
)
from support.switchboard import World
from umbel.kit.errors import UmbelError, Unavailable
from umbel.network import events
from umbel.network.drivers.ovsdb.connection import OvsdbRefused
from umbel.network.events import LinkDown, LinkUp, PathChanged
from umbel.network.model import Endpoint, Hop
from umbel.network.overlay.spanning import Drawing, Role
from umbel.network.overlay.streams import InvalidRoute
from umbel.network.switching.program import Field, SetField
from umbel.network.switching.signals import SwitchRefused, UnknownSwitch
from umbel.network.switching.tables import RETURNS
from umbel.network.topology.paths import NotInTopology

pytestmark = pytest.mark.looptime


async def test_each_process_gets_one_copy_over_one_tree() -> None:
    async with exact() as run:
        ends = (("pe4", 7001), ("pe4", 7002), ("pe2", 7001), ("pe1", 7009))
        to = await run.carry("ev1", hops("pe1", *ends))
        got, crossed = run.world.send("pe1", to)
        assert got == at(*ends)
        assert Counter(crossed) == Counter(
            [("pe1", "c1"), ("c1", "c2"), ("c1", "pe2"), ("c2", "pe4")]
        )
        assert run.told(PathChanged)[-1] == PathChanged(
            stream="ev1",
            links=(("pe1", "c1"), ("c1", "c2"), ("c1", "pe2"), ("c2", "pe4")),
        )
        await run.fabric.remove("ev1")
        assert run.world.send("pe1", to) == (Counter(), [])
        assert run.told(PathChanged)[-1] == PathChanged(stream="ev1")


async def test_receivers_reach_who_sends_to_them_also_when_that_is_another() -> None:
    def ways(run: Run, node: str) -> set[str]:
        return {
            str(action.value)
            for rule in run.world.net.switches[node].program.rules
            for action in rule.actions
            if rule.priority == RETURNS
            and isinstance(action, SetField)
            and action.field is Field.IPV4_DST
        }

    async with exact() as run:
        plain = hops("pe1", ("pe4", 7001))
        await run.carry("ev1", plain)
        assert ways(run, "pe1") == set()
        for sender in ("10.99.1.7", "10.99.1.8"):
            await run.carry("ev1", [replace(hop, source_address=sender) for hop in plain])
            assert ways(run, "pe1") == {sender}
        assert ways(run, "pe4") == {plain[0].target.address}
        await run.fabric.remove("ev1")
        assert ways(run, "pe1") == set()


async def test_only_what_trees_need_is_plugged() -> None:
    async with exact() as run:
        assert wires(run.world) == set()
        line = Drawing(
            roles={"pe1": Role.ROOT, "c1": Role.RELAY, "pe2": Role.LEAF, "c2": Role.NONE},
            links=(("pe1", "c1"), ("c1", "pe2"), ("c1", "c2")),
        )
        await run.fabric.change(run.fabric.overlay.draw(line))
        assert wires(run.world) == both([("pe1", "c1"), ("c1", "pe2")])
        await run.fabric.change(run.fabric.overlay.draw(DRAWING))
        await run.carry("ev1", hops("pe1", ("pe4", 7001)))
        assert wires(run.world) == both(LINKS)  # pe3-c2 or pe3-c1 mends the triangle
        await run.fabric.remove("ev1")
        assert wires(run.world) == set()


async def test_a_tunnel_that_is_removed_is_no_lost_link() -> None:
    async with exact() as run:
        await run.carry("ev1", hops("pe1", ("pe4", 7001)))
        run.world.deaf["c1"] = Unavailable()  # one end goes before the other
        await run.fabric.remove("ev1")
        await asyncio.sleep(3)
        run.world.deaf.clear()
        await asyncio.sleep(3)
        assert wires(run.world) == set()
        assert len(run.told(events.PortRemoved)) == 2 * len(LINKS)
        assert run.told(LinkDown, LinkUp) == []
        to = await run.carry("ev1", hops("pe1", ("pe4", 7001)))
        assert run.world.send("pe1", to)[0] == at(("pe4", 7001))
        run.world.lose("c1", "c2")
        assert run.told(LinkDown, LinkUp) == [LinkDown(a="c1", b="c2")]


async def test_a_cut_link_is_gone_round_and_comes_back_as_a_spare() -> None:
    async with exact() as run:
        to = await run.carry("ev1", hops("pe1", ("pe4", 7001)))
        run.world.lose("c1", "c2")
        assert run.told(LinkDown) == [LinkDown(a="c1", b="c2")]
        await asyncio.sleep(0.01)
        got, crossed = run.world.send("pe1", to)
        assert got == at(("pe4", 7001))
        assert crossed == [("pe1", "c1"), ("c1", "pe3"), ("pe3", "c2"), ("c2", "pe4")]
        run.world.restore("c1", "c2")
        await asyncio.sleep(4.9)
        run.world.lose("c1", "c2")  # it flaps: it must be up for the whole hold-down
        run.world.restore("c1", "c2")
        await asyncio.sleep(4.9)
        assert run.told(LinkUp) == []
        changed = len(run.told(PathChanged))
        await asyncio.sleep(0.2)
        assert run.told(LinkUp) == [LinkUp(a="c1", b="c2")]
        await asyncio.sleep(0.2)  # until the way before is empty
        # pe3 is a leaf, which is no way for others where another way is whole.
        assert run.world.send("pe1", to) == (got, [("pe1", "c1"), ("c1", "c2"), ("c2", "pe4")])
        assert len(run.told(PathChanged)) == changed + 1
        run.world.lose("c1", "pe3")
        await asyncio.sleep(0.01)
        assert run.world.send("pe1", to)[1] == [("pe1", "c1"), ("c1", "c2"), ("c2", "pe4")]


async def test_a_link_that_comes_back_moves_nothing_where_no_leaf_is_in_the_way() -> None:
    async with exact() as run:
        relays = dict.fromkeys(("pe3", "c1", "c2"), Role.RELAY)
        drawing = Drawing(roles={**DRAWING.roles, **relays}, links=LINKS)
        await run.fabric.change(run.fabric.overlay.draw(drawing))
        to = await run.carry("ev1", hops("pe1", ("pe4", 7001)))
        run.world.lose("c1", "c2")
        await asyncio.sleep(0.01)
        around = run.world.send("pe1", to)
        assert around[1] == [("pe1", "c1"), ("c1", "pe3"), ("pe3", "c2"), ("c2", "pe4")]
        changed = len(run.told(PathChanged))
        run.world.restore("c1", "c2")
        await asyncio.sleep(6)
        assert run.told(LinkUp) == [LinkUp(a="c1", b="c2")]
        assert run.world.send("pe1", to) == around
        assert len(run.told(PathChanged)) == changed
        run.world.lose("c1", "pe3")
        await asyncio.sleep(0.01)
        assert run.world.send("pe1", to)[1] == [("pe1", "c1"), ("c1", "c2"), ("c2", "pe4")]


async def test_what_falls_due_during_a_long_look_is_not_forgotten() -> None:
    async with exact() as run:
        await run.carry("ev1", hops("pe1", ("pe4", 7001)))
        run.world.lose("c2", "pe4")
        run.world.restore("c2", "pe4")
        await asyncio.sleep(4.9)
        before_s = asyncio.get_running_loop().time()
        await run.carry("ev1", hops("pe1", ("pe3", 7001), ("pe5", 7001)))
        assert asyncio.get_running_loop().time() - before_s > 0.1
        await asyncio.sleep(0.01)
        assert run.told(LinkUp) == [LinkUp(a="c2", b="pe4")]


async def test_what_nothing_can_mend_is_told_and_kept() -> None:
    async with exact() as run:
        to = await run.carry("ev1", hops("pe1", ("pe4", 7001), ("pe2", 7001)))
        run.world.lose("c2", "pe4")
        await asyncio.sleep(0.01)
        assert run.world.send("pe1", to)[0] == at(("pe2", 7001))
        last = run.told(PathChanged)[-1]
        assert isinstance(last, PathChanged)
        assert last.error == "link c2-pe4 is down"
        run.world.restore("c2", "pe4")
        assert run.world.send("pe1", to)[0] == at(("pe2", 7001), ("pe4", 7001))
        await asyncio.sleep(5.1)
        last = run.told(PathChanged)[-1]
        assert isinstance(last, PathChanged)
        assert last.error == ""


async def test_a_new_fabric_sends_only_differences() -> None:
    world, wanted = World(SITES), hops("pe1", ("pe4", 7001), ("pe2", 7001))
    async with running(world) as first:
        to = await first.carry("ev1", wanted)
        await first.carry("ev2", hops("pe2", ("pe5", 7001)))
    expected = world.send("pe1", to)
    world.changes.clear()
    async with running(world) as second:
        await asyncio.sleep(1)
        assert world.send("pe1", to) == expected
        assert await second.carry("ev1", wanted) == to
        assert world.send("pe1", to) == expected
        assert not world.changes
        held = sum(len(switch.program.rules) for switch in world.net.switches.values())
        await asyncio.sleep(31)  # nobody asked for ev2 again
        assert world.changes
        left = sum(len(switch.program.rules) for switch in world.net.switches.values())
        assert left < held
        assert world.send("pe1", to) == expected


async def test_a_switch_that_comes_late_or_back_gets_what_it_lacks() -> None:
    async with exact() as run:
        run.world.leave("c1")
        to = await run.carry("ev1", hops("pe1", ("pe2", 7001)))
        assert run.world.send("pe1", to)[0] == Counter()
        run.world.come("c1")
        await asyncio.sleep(0.01)
        assert run.world.send("pe1", to)[0] == at(("pe2", 7001))
        run.world.changes.clear()
        run.world.leave("c1")
        run.world.come("c1")
        await asyncio.sleep(0.01)
        assert not run.world.changes
        assert [e.kind for e in run.told(events.SwitchUp, events.SwitchDown)][-4:] == [
            "switch_down",
            "switch_up",
        ] * 2


async def test_a_refused_rule_leaves_nothing_behind() -> None:
    async with exact() as run:
        number = run.fabric.stream("ev1").number
        run.world.refuses.add(number)
        other = await run.carry("ev2", hops("pe1", ("pe3", 7001)))
        before = {node: switch.program for node, switch in run.world.net.switches.items()}
        with pytest.raises(SwitchRefused):
            await run.fabric.ensure("ev1", hops("pe1", ("pe4", 7001)))
        assert {node: switch.program for node, switch in run.world.net.switches.items()} == before
        assert run.world.send("pe1", other)[0] == at(("pe3", 7001))
        last = run.told(PathChanged)[-1]
        assert isinstance(last, PathChanged)
        assert last.stream == "ev1"
        assert "refuses a rule (type 5, number 1)" in last.error
        run.world.refuses.clear()
        to = await run.carry("ev1", hops("pe1", ("pe4", 7001)))
        assert run.world.send("pe1", to)[0] == at(("pe4", 7001))


@pytest.mark.parametrize("failure", [Unavailable(), OvsdbRefused()], ids=["silent", "refusing"])
async def test_a_database_that_does_not_do_it_is_asked_again_and_keeps_no_other(
    failure: UmbelError,
) -> None:
    async with exact() as run:
        run.world.deaf["c2"] = failure
        to = await run.carry("ev1", hops("pe1", ("pe2", 7001), ("pe4", 7001)))
        assert run.world.send("pe1", to)[0] == at(("pe2", 7001))
        assert run.fabric.problems["ev1"] == ("no tunnel joins c1 and c2 yet",)
        run.world.deaf.clear()
        await asyncio.sleep(1.5)
        assert run.world.send("pe1", to)[0] == at(("pe2", 7001), ("pe4", 7001))
        assert not run.fabric.problems


async def test_a_switch_that_is_lost_with_its_database_holds_up_no_other() -> None:
    async with exact() as run:
        await run.carry("ev1", hops("pe1", ("pe2", 7001)))
        loop = asyncio.get_running_loop()
        run.world.patience = partial(asyncio.sleep, 5.0)
        run.world.deaf["c2"] = Unavailable()
        run.world.leave("c2")
        began_s = loop.time()
        guests = {"10.96.1.10": "c2"}  # so that something is to be changed there
        await run.fabric.install_extra_rules("borders", lambda _: {}, (), guests)
        to = await run.carry("ev1", hops("pe1", ("pe2", 7001), ("pe3", 7001)))
        assert loop.time() - began_s < 1.0
        assert run.world.send("pe1", to)[0] == at(("pe2", 7001), ("pe3", 7001))
        assert run.world.expecting["c2"] == ()
        run.world.deaf.clear()
        run.world.come("c2")
        await asyncio.sleep(8.0)
        assert run.world.expecting["c2"] == (*guests,)


async def test_what_cannot_be_carried() -> None:
    async with exact() as run:
        mixed = [*hops("pe1", ("pe2", 7001)), *hops("pe3", ("pe4", 7001))]
        with pytest.raises(InvalidRoute):
            await run.fabric.ensure("ev1", mixed)
        nowhere = Endpoint(node="pe9", address="10.99.9.1", port=1)
        with pytest.raises(NotInTopology):
            await run.fabric.ensure("ev1", [Hop(source_node="pe1", target=nowhere)])


async def test_a_foreign_switch_is_not_admitted() -> None:
    async with exact() as run:
        (board,) = run.world.boards
        assert not board.admit(0xBAD)
        assert board.admit(SITES["c1"].datapath_id)


async def test_a_host_is_asked_for_by_its_switch_and_no_rule_is_left() -> None:
    async with exact() as run:
        to = await run.carry("ev1", hops("pe1", ("pe4", 7001)))
        run.world.hosts["pe4", "192.0.2.4"] = "02:00:00:00:00:aa"
        before = {node: switch.program for node, switch in run.world.net.switches.items()}
        run.world.changes.clear()
        ask = run.fabric.neighbours.ask
        for found in await asyncio.gather(*(ask(SITES["pe4"], "192.0.2.4") for _ in range(3))):
            assert found == "02:00:00:00:00:aa"
        assert run.world.changes == {"pe4": 2}  # one question, whoever asks
        assert await ask(SITES["pe4"], "192.0.2.5") == ""
        assert await ask(SITES["pe3"], "192.0.2.4") == ""
        assert {node: switch.program for node, switch in run.world.net.switches.items()} == before
        assert run.world.send("pe1", to)[0] == at(("pe4", 7001))
        run.world.leave("pe4")
        with pytest.raises(UnknownSwitch):
            await ask(SITES["pe4"], "192.0.2.4")
