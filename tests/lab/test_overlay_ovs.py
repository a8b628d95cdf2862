"""Streams over the operator's real switches: where packets go, and what is survived.

One testbed of five nodes for all: overlay_lab.DRAWING says how they are joined.
"""

import os
import signal
from collections import Counter
from collections.abc import AsyncIterator, Iterator

import pytest
from structlog.testing import capture_logs

from support import overlay_lab, overlay_traffic, testbed
from support.overlay_lab import Lab
from support.overlay_traffic import Taker
from support.testbed import Testbed
from support.waiting import until
from umbel.network import events
from umbel.network.events import LinkDown, LinkUp, PathChanged, SwitchDown, SwitchUp
from umbel.network.model import Endpoint, Hop
from umbel.network.overlay.streams import Path, Receiver
from umbel.network.switching.signals import SwitchRefused

pytestmark = [
    pytest.mark.lab,
    pytest.mark.alone,
    pytest.mark.timeout(120),
    pytest.mark.skipif(bool(testbed.ABSENT), reason=testbed.ABSENT),
]

TREE = {("r", "a"), ("a", "b"), ("b", "c"), ("r", "e")}
MISSES = [f"table={n}, priority=0 actions=goto_table:{n + 1}" for n in (1, 2, 3)]


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Testbed]:
    with overlay_lab.five_joined(tmp_path_factory.mktemp("overlay")) as up:
        yield up


@pytest.fixture
async def lab(bed: Testbed) -> AsyncIterator[Lab]:
    async with overlay_lab.whole_again(bed) as made:
        yield made


async def over(lab: Lab, stream: str, *links: tuple[str, str]) -> None:
    """The stream goes over these links."""
    await lab.when(lambda: set(lab.fabric.overlay.used(stream)) == set(links))
    await lab.settled()
    assert not lab.fabric.problems


def told(lab: Lab, *kinds: type[events.Event]) -> list[events.Event]:
    return [event for event in lab.events if isinstance(event, kinds)]


async def test_switches_hold_the_intended_rules(bed: Testbed, lab: Lab) -> None:
    with overlay_traffic.taking(bed, "c", "e") as (at_c, at_e):
        to = await overlay_lab.carried(lab, at_c, at_e)
        number = lab.fabric.stream("ev1").number
        port = {node: port_maps.tunnel_ports for node, port_maps in lab.fabric.port_maps.items()}
        inside = {node: port_maps.local_port for node, port_maps in lab.fabric.port_maps.items()}

        def enters(in_port: int) -> str:
            match = f"udp,in_port={in_port},nw_dst={to.address},tp_dst={to.port}"
            return f"table=0, priority=100,{match} actions=write_metadata:{number:#x},goto_table:1"

        def goes(in_port: int, out: str) -> str:
            return f"table=3, priority=100,metadata={number:#x},in_port={in_port} actions={out}"

        def ends(taker: Taker) -> str:
            node, end = lab.bed.nodes[taker.end.node], taker.end
            sets = (
                f"set_field:02:6d:62:00:00:{node.number:02x}->eth_dst,"
                f"set_field:{to.address}->ip_src,set_field:{end.address}->ip_dst,"
                f"set_field:{end.port}->udp_dst,output:{inside[node.name]}"
            )
            return f"table=4, priority=100,udp,metadata={number:#x} actions={sets}"

        fan, spare = (number << 16) + inside["r"], (number << 16) + (1 << 14) + port["a"]["b"]
        both = sorted([port["r"]["a"], port["r"]["e"]])
        copies = "".join(f",bucket=actions=output:{p}" for p in both)
        either = "".join(
            f",bucket=watch_port:{p},actions=output:{p}" for p in (port["a"]["b"], port["a"]["c"])
        )
        from_r = [enters(inside["r"]), goes(inside["r"], f"group:{fan}")]
        from_a = [enters(port["a"]["r"]), goes(port["a"]["r"], f"group:{spare}")]
        from_b = [enters(port["b"]["a"]), goes(port["b"]["a"], f"output:{port['b']['c']}")]
        assert overlay_lab.held(bed) == {
            "r": (sorted([*MISSES, *from_r]), [f"group_id={fan},type=all{copies}"]),
            "a": (sorted([*MISSES, *from_a]), [f"group_id={spare},type=ff{either}"]),
            "b": (sorted([*MISSES, *from_b]), []),
            "c": (
                sorted([*MISSES, enters(port["c"]["a"]), enters(port["c"]["b"]), ends(at_c)]),
                [],
            ),
            "e": (sorted([*MISSES, enters(port["e"]["r"]), ends(at_e)]), []),
        }
        await lab.fabric.remove("ev1")
        assert overlay_lab.held(bed) == dict.fromkeys(bed.nodes, (MISSES, []))


async def test_each_leaf_gets_one_copy_and_only_tunnels_carry_it(bed: Testbed, lab: Lab) -> None:
    with (
        overlay_traffic.taking(bed, "c", "e", "e", "b", host="h") as (at_c, *at_e, at_b, at_h),
        overlay_traffic.tapping(bed) as taps,
    ):
        to = await overlay_lab.carried(lab, at_c, *at_e)
        host = Receiver(address=at_h.end.address, mac=bed.hosts["h"].mac, port=at_h.end.port)
        intent = lab.fabric.overlay.intents["ev1"]
        outside = Path(leaf="e", receiver=host)
        await lab.fabric.change(lab.fabric.overlay.add_path(intent, outside))
        assert not lab.fabric.problems
        count = await overlay_traffic.sent(bed, "r", to)
        once = Counter(range(count))
        assert [await overlay_traffic.came(taker, count - 2) for taker in (at_c, *at_e, at_h)] == [
            once
        ] * 4
        assert not at_b.took()
        seen = {tap.way: tap.saw() for tap in taps}
        assert {way for way, (wrapped, _) in seen.items() if wrapped} == TREE
        assert {seen[way][0] for way in TREE} == {count}
        assert not any(bare for _, bare in seen.values())


async def test_a_cut_link_is_gone_round_and_returns_as_a_spare(bed: Testbed, lab: Lab) -> None:
    with overlay_traffic.taking(bed, "c", "e") as (at_c, at_e):
        to = await overlay_lab.carried(lab, at_c, at_e)
        with overlay_traffic.sending(bed, "r", to, rate=500) as sender:
            sender.begin()
            await overlay_traffic.came(at_c, 10)
            with overlay_lab.cut(bed, ("a", "b")):
                await over(lab, "ev1", ("r", "a"), ("a", "c"), ("r", "e"))
                assert LinkDown(a="a", b="b") in lab.events
                gap = await overlay_traffic.came(at_c)
                since = max(await overlay_traffic.came(at_c, max(gap) + 100))
                before = len(told(lab, PathChanged))
            await lab.when(lambda: told(lab, LinkUp))
            after = await overlay_traffic.came(at_c, since + 100)
            until_now = max(await overlay_traffic.came(at_c, max(after) + 200))
            await sender.stop()
            # Redundant again: no packet was lost or doubled for it, nothing moved, nothing flapped.
            assert after.total() == max(after) - since
            assert until_now > max(after)
            assert set(lab.fabric.overlay.used("ev1")) == {("r", "a"), ("a", "c"), ("r", "e")}
            assert len(told(lab, PathChanged)) == before
            assert told(lab, LinkDown, LinkUp) == [LinkDown(a="a", b="b"), LinkUp(a="a", b="b")]
            assert set((await overlay_traffic.came(at_e)).values()) == {1}


async def test_where_no_spare_is_beside_the_controller_mends(bed: Testbed, lab: Lab) -> None:
    with overlay_traffic.taking(bed, "c", "e") as (at_c, at_e):
        to = await overlay_lab.carried(lab, at_c, at_e)
        with overlay_lab.cut(bed, ("r", "e")):
            await over(lab, "ev1", ("r", "a"), ("a", "b"), ("b", "c"), ("c", "e"))
            count = await overlay_traffic.sent(bed, "r", to)
            for taker in (at_c, at_e):
                assert await overlay_traffic.came(taker, count - 2) == Counter(range(count))


async def test_a_killed_switch_is_told_gone_round_and_taken_back(bed: Testbed, lab: Lab) -> None:
    with overlay_traffic.taking(bed, "c") as (at_c,):
        to = await overlay_lab.carried(lab, at_c)
        b = bed.nodes["b"]
        os.kill(int((b.folder / "ovs-vswitchd.pid").read_text()), signal.SIGKILL)
        down = SwitchDown(node="b", datapath_id=b.site.datapath_id)
        await lab.when(lambda: down in lab.events)
        await over(lab, "ev1", ("r", "a"), ("a", "c"))
        count = await overlay_traffic.sent(bed, "r", to)
        assert await overlay_traffic.came(at_c, count - 2) == Counter(range(count))
        bed.start("b", "ovs-vswitchd")
        up = SwitchUp(node="b", datapath_id=b.site.datapath_id)
        await lab.when(
            lambda: lab.events.index(down) < len(lab.events) - lab.events[::-1].index(up)
        )
        await lab.alive()
        with overlay_lab.cut(bed, ("a", "c"), ("c", "e")):  # all other ways
            await over(lab, "ev1", ("r", "a"), ("a", "b"), ("b", "c"))
            count = await overlay_traffic.sent(bed, "r", to)
            assert await overlay_traffic.came(at_c, count - 2) == Counter(range(count))


async def test_streams_outlive_the_controller_and_are_adopted(bed: Testbed) -> None:
    with overlay_traffic.taking(bed, "c", "e") as (at_c, at_e):
        hops = [Hop(source_node="r", target=taker.end) for taker in (at_c, at_e)]
        first = overlay_lab.terms(bed.controller, bfd_ms=overlay_lab.PATIENT_BFD_MS)
        with overlay_lab.another(bed, overlay_lab.DRAWING, first, "ev1", hops) as process:
            before = overlay_lab.held(bed)
            (rule,) = (line for line in before["r"][0] if "nw_dst=" in line)
            address, port = rule.split("nw_dst=")[1].split()[0].split(",tp_dst=")
            to = Endpoint(node="r", address=address, port=int(port))
            with overlay_traffic.sending(bed, "r", to, rate=500) as sender:
                sender.begin()
                took = await overlay_traffic.came(at_c, 50)
                process.kill()
                process.wait()
                took += await overlay_traffic.came(at_c, max(took) + 50)
                async with overlay_lab.patient(bed, adopt_s=30.0) as lab:
                    await lab.alive()
                    assert set((await lab.fabric.ensure("ev1", hops)).values()) == {
                        Endpoint(node=n, address=to.address, port=to.port) for n in "ce"
                    }
                    assert lab.board.made == 0
                    assert overlay_lab.held(bed) == before
                    assert told(lab, PathChanged) == [
                        PathChanged(stream="ev1", links=lab.fabric.overlay.used("ev1"))
                    ]
                took += await overlay_traffic.came(at_c, max(took) + 50)
                assert took == Counter(range(max(took) + 1))
                # Nobody controls the switches now: the one beside the loss uses its spare alone.
                with overlay_lab.cut(bed, ("a", "b")), overlay_traffic.tapping(bed) as taps:
                    (spare,) = (tap for tap in taps if tap.way == ("a", "c"))

                    async def used() -> int:
                        return spare.saw()[0]

                    await until(used)
                    last = max(await overlay_traffic.came(at_c))
                    got = await overlay_traffic.came(at_c, last + 100)
                    assert got == Counter(range(last + 1, max(got) + 1))
                await sender.stop()
            assert set((await overlay_traffic.came(at_e)).values()) == {1}


async def test_a_refused_rule_leaves_nothing_behind(bed: Testbed, lab: Lab) -> None:
    with overlay_traffic.taking(bed, "c", "e", "c") as (at_c, at_e, other):
        to = await overlay_lab.carried(lab, at_c, at_e)
        before = overlay_lab.held(bed)
        vsctl = ("ovs-vsctl", "--timeout=20", "--")
        limit = ("--id=@t", "create", "flow_table", "flow_limit=1", "overflow_policy=refuse")
        # The root comes last: all other switches hold the stream's rules when it refuses.
        bed.nodes["r"].run(*vsctl, *limit, "--", "set", "bridge", "br1", "flow_tables:0=@t")
        try:
            with pytest.raises(SwitchRefused, match="node r refuses"):
                await lab.carry("ev2", "r", other)
            assert overlay_lab.held(bed) == before
            assert "node r refuses a rule" in lab.fabric.problems["ev2"][0]
            last = told(lab, PathChanged)[-1]
            assert isinstance(last, PathChanged)
            assert (last.stream, last.error) == ("ev2", lab.fabric.problems["ev2"][0])
            count = await overlay_traffic.sent(bed, "r", to)
            assert await overlay_traffic.came(at_c, count - 2) == Counter(range(count))
        finally:
            bed.nodes["r"].run(*vsctl, "clear", "bridge", "br1", "flow_tables")
        again = await lab.carry("ev2", "r", other)
        count = await overlay_traffic.sent(bed, "r", again)
        assert await overlay_traffic.came(other, count - 2) == Counter(range(count))


async def test_a_foreign_switch_is_refused(bed: Testbed, lab: Lab) -> None:
    vsctl = ("ovs-vsctl", "--timeout=20", "--")
    made = ("add-br", "br9", "--", "set", "bridge", "br9", "datapath_type=netdev")
    names = ("other_config:datapath-id=00000000000000ff", "protocols=OpenFlow14")
    target = f"tcp:{bed.controller}:{lab.port}"
    with capture_logs() as logs:
        bed.nodes["b"].run(*vsctl, *made, *names, "--", "set-controller", "br9", target)
        try:
            await lab.when(lambda: any(e["event"] == "foreign switch refused" for e in logs))
        finally:
            bed.nodes["b"].run(*vsctl, "del-br", "br9")
    (said,) = (entry for entry in logs if entry["event"] == "foreign switch refused")
    assert (said["datapath_id"], said["log_level"]) == ("00000000000000ff", "warning")
    assert 0xFF not in lab.board.switches
    assert lab.fabric.connected() == set(bed.nodes)
