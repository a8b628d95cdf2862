"""Streams over real switches: receivers that move or are found, and functions on the way."""

from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial

import pytest

from support import databases, overlay_lab, overlay_traffic, testbed
from support.overlay_lab import Lab
from support.overlay_traffic import Taker
from support.testbed import Testbed
from support.waiting import until
from umbel.kit.clock import SystemClock
from umbel.kit.db import Database
from umbel.network.edge.compiler import EdgeState, programs
from umbel.network.model import Endpoint, Topology
from umbel.network.operator import moves
from umbel.network.operator.service import OperatorService
from umbel.network.operator.store import OperatorStore
from umbel.network.overlay import streams
from umbel.network.overlay.moves import InvalidMove
from umbel.network.overlay.streams import Path, Receiver, Stream, StreamIntent
from umbel.network.switching.port_map import Side

pytestmark = [
    pytest.mark.lab,
    pytest.mark.alone,
    pytest.mark.timeout(120),
    pytest.mark.skipif(bool(testbed.ABSENT), reason=testbed.ABSENT),
]


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Testbed]:
    with overlay_lab.five_joined(tmp_path_factory.mktemp("overlay")) as up:
        yield up


@pytest.fixture
async def lab(bed: Testbed) -> AsyncIterator[Lab]:
    async with overlay_lab.whole_again(bed) as made:
        yield made


async def test_a_leaf_moves_and_nothing_is_lost(bed: Testbed, lab: Lab) -> None:
    with overlay_traffic.taking(bed, "c", "e") as (at_c, at_e):
        to = await overlay_lab.carried(lab, at_c)
        await lab.carry("warm", "r", at_e)
        await lab.alive()
        leaving, coming = (
            Path(leaf=taker.end.node, receiver=streams.local_receiver(taker.end))
            for taker in (at_c, at_e)
        )
        with overlay_traffic.sending(bed, "r", to, rate=1000) as sender:
            sender.begin()
            old = await overlay_traffic.came(at_c, 100)
            await moves.prepare(lab.fabric, "ev1", leaving, coming)
            new = await overlay_traffic.came(at_e)
            old += await overlay_traffic.came(at_c, min(new))
            await moves.commit(lab.fabric, "ev1")
            new += await overlay_traffic.came(at_e, max(new) + 200)
            count = await sender.stop()
        new += await overlay_traffic.came(at_e, count - 2) if max(new) < count - 1 else Counter()
        old += at_c.took()
        assert set(old.values()) == set(new.values()) == {1}
        assert old.keys() | new.keys() == set(range(count))
        assert max(old) < count - 100
        assert set(lab.fabric.overlay.used("ev1")) == {("r", "e")}


async def test_a_process_sends_to_an_address_that_its_operator_chose(
    bed: Testbed, lab: Lab
) -> None:
    with overlay_traffic.taking(bed, "c") as (at_c,):
        stream = Stream(name="feed", number=9, target="10.0.0.255", port=5004)
        path = Path(leaf="c", receiver=streams.local_receiver(at_c.end))
        intent = StreamIntent(stream=stream, root="r", sender=Side.INSIDE)
        await lab.fabric.change(lab.fabric.overlay.add_path(intent, path))
        await lab.alive()
        to = Endpoint(node="r", address="10.0.0.255", port=5004)
        count = await overlay_traffic.sent(bed, "r", to)
        assert await overlay_traffic.came(at_c, count - 2) == Counter(range(count))
        await lab.fabric.remove("feed")
        assert "10.0.0.255" not in bed.nodes["r"].run("ip", "route")


async def test_a_receivers_mac_is_asked_for_by_its_switch(bed: Testbed, lab: Lab) -> None:
    with overlay_traffic.taking(bed, "c", host="h") as (at_c, at_h):
        to = await overlay_lab.carried(lab, at_c)
        before, site = overlay_lab.held(bed), bed.nodes["e"].site
        assert await lab.fabric.neighbours.ask(site, at_h.end.address) == bed.hosts["h"].mac
        assert await lab.fabric.neighbours.ask(site, "10.202.5.77") == ""
        assert await lab.fabric.neighbours.ask(bed.nodes["c"].site, at_h.end.address) == ""
        assert overlay_lab.held(bed) == before
        mac = await lab.fabric.neighbours.ask(site, at_h.end.address)
        host = Receiver(address=at_h.end.address, mac=mac, port=at_h.end.port)
        intent = lab.fabric.overlay.intents["ev1"]
        path = Path(leaf="e", receiver=host)
        await lab.fabric.change(lab.fabric.overlay.add_path(intent, path))
        await lab.alive()
        count = await overlay_traffic.sent(bed, "r", to)
        assert await overlay_traffic.came(at_h, count - 2) == Counter(range(count))


@asynccontextmanager
async def operated(lab: Lab, sqlite_url: str) -> AsyncIterator[OperatorService]:
    """The operator's service over the fabric, with a database of its own."""
    database = Database(sqlite_url)
    await databases.prepare(database)
    topology = Topology(nodes=tuple(lab.bed.nodes), links=())
    try:
        yield OperatorService(
            lambda: topology,
            OperatorStore(database),
            SystemClock(),
            lab.fabric,
            lab.fabric.neighbours.ask,
        )
    finally:
        await database.close()


async def test_a_receiver_that_changes_its_card_gets_the_stream_again(
    bed: Testbed, lab: Lab, sqlite_url: str
) -> None:
    host, device = bed.hosts["h"], "eth0"
    with overlay_traffic.taking(bed, host="h") as (at_h,):
        async with operated(lab, sqlite_url) as operator:
            feed = Stream(name="feed", number=0, target="", port=0)
            intent = StreamIntent(stream=feed, root="r", sender=Side.INSIDE)
            receiver = Receiver(address=at_h.end.address, port=at_h.end.port)
            made = await operator.add(intent, Path(leaf="e", receiver=receiver))
            await lab.alive()
            to = Endpoint(node="r", address=made.stream.target, port=made.stream.port)
            count = await overlay_traffic.sent(bed, "r", to)
            assert await overlay_traffic.came(at_h, count - 2) == Counter(range(count))
            try:
                host.run("ip", "link", "set", device, "address", "02:75:6d:ff:ff:01")
                await operator.refresh_paths()
                found = (await operator.path(made.request.id)).request.path.receiver
                assert found is not None
                assert found.mac == "02:75:6d:ff:ff:01"
                count = await overlay_traffic.sent(bed, "r", to)
                assert await overlay_traffic.came(at_h, count - 2) == Counter(range(count))
            finally:
                host.run("ip", "link", "set", device, "address", host.mac)


async def test_a_missing_route_is_noticed_and_the_notice_says_how_to_add_it(
    bed: Testbed, lab: Lab, sqlite_url: str
) -> None:
    root = bed.nodes["r"]
    with overlay_traffic.taking(bed, "c") as (at_c,):
        async with operated(lab, sqlite_url) as operator:
            feed = Stream(name="feed", number=0, target="10.0.0.255", port=5004)
            intent = StreamIntent(stream=feed, root="r", sender=Side.INSIDE)
            path = Path(leaf="c", receiver=streams.local_receiver(at_c.end))
            made = await operator.add(intent, path)
            await lab.alive()
            # As on an operator's own machine, where nobody adds it.
            root.run("ip", "route", "del", "10.0.0.255/32")
            await operator.refresh_paths()
            notice = (await operator.path(made.request.id)).notice
            assert "nothing has come from node r yet" in notice
            root.run(*notice.split("`")[1].split())
            to = Endpoint(node="r", address="10.0.0.255", port=5004)
            count = await overlay_traffic.sent(bed, "r", to)
            assert await overlay_traffic.came(at_c, count - 2) == Counter(range(count))

            async def notice_now() -> str:
                await operator.refresh_paths()
                return (await operator.path(made.request.id)).notice

            await until(notice_now, lambda now: now == "")  # a switch counts about once a second
            root.run("ip", "route", "del", "10.0.0.255/32")


async def test_rules_follow_a_function_on_the_way(bed: Testbed, lab: Lab) -> None:
    with overlay_traffic.taking(bed, "c", "e") as (at_c, at_e):
        to = await overlay_lab.carried(lab, at_c, at_e)
        with (
            overlay_traffic.relaying(bed, "b", to, "B") as at_b,
            overlay_traffic.relaying(bed, "a", to, "A") as at_a,
        ):
            for function in (at_b, at_a, None):  # it appears, moves and dies
                hosts = {function.node: streams.local_receiver(function)} if function else {}
                await lab.fabric.change(lab.fabric.overlay.set_processes("ev1", hosts))
                assert not lab.fabric.problems
                count = await overlay_traffic.sent(bed, "r", to)
                sign = function.node.upper() if function else "u"
                for taker, expected in ((at_c, sign), (at_e, "u")):
                    got = await overlay_traffic.all_of(taker, count)
                    assert Counter(data[4:5].decode() for data in got) == {expected: count}


async def test_a_path_moves_with_its_function_and_no_unprocessed_packet_arrives(
    bed: Testbed, lab: Lab
) -> None:
    with overlay_traffic.taking(bed, "c", "e", "e") as (at_c, at_e, warm):
        to = await overlay_lab.carried(lab, at_c)
        await lab.carry("warm", "r", warm)
        await lab.alive()
        leaving, coming = (
            Path(leaf=taker.end.node, receiver=streams.local_receiver(taker.end))
            for taker in (at_c, at_e)
        )

        async def met(*functions: Endpoint) -> None:
            overlay = lab.fabric.overlay
            processes = {one.node: streams.local_receiver(one) for one in functions}
            await lab.fabric.change(overlay.set_processes("ev1", processes))
            assert not lab.fabric.problems

        signs: Counter[str] = Counter()

        async def more(taker: Taker) -> None:
            """Until it took a hundred more."""
            signs.update(d[4:5].decode() for d in await overlay_traffic.all_of(taker, 100))

        with overlay_traffic.relaying(bed, "c", to, "C") as at_old:
            await met(at_old)
            with overlay_traffic.sending(bed, "r", to, rate=1000) as sender:
                sender.begin()
                await more(at_c)
                await moves.prepare(lab.fabric, "ev1", leaving, coming)
                await more(at_c)
                with pytest.raises(InvalidMove, match="No function takes the stream at e yet"):
                    await moves.commit(lab.fabric, "ev1")
                await met()  # the function is on its way
                with overlay_traffic.relaying(bed, "e", to, "E") as at_new:
                    await met(at_new)
                    await more(at_e)
                    await moves.commit(lab.fabric, "ev1")
                    await more(at_e)
                    await sender.stop()
        signs.update(d[4:5].decode() for one in (at_c, at_e) for d in one.read())
        assert signs.keys() == {"C", "E"}  # "u": as the source sent it


async def test_what_is_between_access_networks_goes_over_the_links(bed: Testbed) -> None:
    async with overlay_lab.patient(bed, routes_nodes=True) as lab:
        await lab.fabric.install_extra_rules("borders", partial(programs, EdgeState()))
        await lab.alive()
        with overlay_traffic.taking(bed, "a") as (at_a,), overlay_traffic.tapping(bed) as taps:

            async def goes_over(*way: tuple[str, str]) -> None:
                count = await overlay_traffic.sent(bed, "h", at_a.end)
                assert len(await overlay_traffic.all_of(at_a, count)) == count
                crossed = {tap.way: seen for tap in taps if any(seen := tap.saw())}
                assert crossed == dict.fromkeys(way, (0, count))

            await goes_over(("e", "c"), ("c", "a"))
            with overlay_lab.cut(bed, ("c", "e")):
                await lab.when(lambda: ("c", "e") in lab.fabric.overlay.link_state.dead)
                await lab.settled()
                await goes_over(("e", "r"), ("r", "a"))
