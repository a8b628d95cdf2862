"""Slices kept: promises become meters and queues, follow the trees, and outlive a restart."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from support import databases
from support.slicing import DEVICES, carry, make_slices, parts, trees_of
from umbel.kit.clock import SystemClock
from umbel.kit.db import Database
from umbel.network.drivers.fake.fabric import FakeQueues
from umbel.network.slices.admission import (
    CONTROL,
    CONTROL_DSCP,
    DEFAULT,
    LINK,
    Grade,
    NoRoomForSlice,
    SliceExists,
    SliceRequest,
    class_of,
    metered,
)
from umbel.network.slices.model import Guarantee, SliceStatus
from umbel.network.slices.service import NoSharedStream, Slices, SlicesUnsupported
from umbel.network.slices.store import NoSuchSlice
from umbel.network.switching.counters import Count, FabricCounts

GOLD = SliceRequest(grade=Grade.GOLD, stream="ev_1")
UP, DOWN = ("pe1", "to-c1"), ("c1", "to-pe4")


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    opened = Database(f"sqlite:///{tmp_path / 'umbel.db'}")
    try:
        await databases.prepare(opened)
        yield opened
    finally:
        await opened.close()


@pytest.fixture
async def here(database: Database) -> AsyncIterator[Slices]:
    made = make_slices(database, SystemClock())
    try:
        yield made
    finally:
        await made.close()


def states(status: SliceStatus) -> dict[tuple[str, str], Guarantee]:
    return {(one.source, one.target): one.state for one in status.links}


def sliced(queues: FakeQueues) -> set[tuple[str, str]]:
    """The link ends with a class for a slice; every end has the others."""
    assert set(queues.installed) == {(link[0], device) for link, device in DEVICES.items()}
    for classes in queues.installed.values():
        assert {LINK, CONTROL, DEFAULT} <= {one.number for one in classes}
    return {
        end
        for end, made in queues.installed.items()
        if any(one.number >= class_of(1) for one in made)
    }


async def look(slices: Slices) -> None:
    """A look that is over when this is."""
    await slices._reconciled()


async def test_a_slice_becomes_a_meter_marks_and_queues(here: Slices) -> None:
    fabric, queues = parts(here)
    await carry(here, "ev_1", "pe4")
    status = await here.open(GOLD)
    assert fabric.slices == {"ev_1": metered(status.granted, here.offers())}
    assert sliced(queues) == {UP, DOWN}
    (mine,) = (one for one in queues.installed[DOWN] if one.number == class_of(1))
    assert mine.rate_kbps >= 50_000
    assert [(flow.address, flow.port) for flow in mine.flows] == [("10.203.0.1", 5001)]
    assert set(states(status).values()) == {Guarantee.GUARANTEED}


async def test_the_end_takes_all_of_it_away(here: Slices) -> None:
    fabric, queues = parts(here)
    await carry(here, "ev_1", "pe4")
    status = await here.open(GOLD)
    await here.end(status.granted.id)
    assert (fabric.slices, sliced(queues), await here.all()) == ({}, set(), ())
    for gone in (here.end, here.one):
        with pytest.raises(NoSuchSlice):
            await gone(status.granted.id)
    assert (await here.open(GOLD)).granted.number == 1


async def test_every_link_end_keeps_life_signs_apart_before_there_is_a_slice(here: Slices) -> None:
    _, queues = parts(here)
    await look(here)
    assert sliced(queues) == set()
    for classes in queues.installed.values():
        control = next(one for one in classes if one.number == CONTROL)
        rest = next(one for one in classes if one.number == DEFAULT)
        assert (control.dscp, rest.dscp) == (CONTROL_DSCP, None)
        assert control.priority < rest.priority


async def test_what_a_link_cannot_guarantee_is_refused(here: Slices) -> None:
    for number in range(1, 5):
        await carry(here, f"ev_{number}", "pe4", number=number)
    for number in range(1, 4):
        await here.open(replace(GOLD, stream=f"ev_{number}"))
    with pytest.raises(NoRoomForSlice) as refused:
        await here.open(replace(GOLD, stream="ev_4"))
    assert refused.value.details["link"] == ["c1", "pe4"]
    assert len(await here.all()) == 3


async def test_a_growing_tree_takes_its_slice_along(here: Slices) -> None:
    _, queues = parts(here)
    status = await here.open(GOLD)
    assert (status.links, sliced(queues)) == ((), set())
    await carry(here, "ev_1", "pe4")
    await look(here)
    status = await here.one(status.granted.id)
    assert set(states(status).values()) == {Guarantee.GUARANTEED}
    assert sliced(queues) == {UP, DOWN}


async def test_a_tree_that_grows_into_a_full_link_is_shown_to_lack_it(here: Slices) -> None:
    recovered = await here.open(replace(GOLD, stream="ev_4"))
    for number in range(1, 4):
        await carry(here, f"ev_{number}", "pe4", number=number)
        await here.open(replace(GOLD, stream=f"ev_{number}"))
    await carry(here, "ev_4", "pe4", number=4)
    await look(here)
    assert states(await here.one(recovered.granted.id)) == {
        ("pe1", "c1"): Guarantee.GUARANTEED,
        ("c1", "pe4"): Guarantee.NO_ROOM,
    }
    first = next(one for one in await here.all() if one.streams == ("ev_1",))
    assert set(states(first).values()) == {Guarantee.GUARANTEED}
    await here.end(first.granted.id)
    assert set(states(await here.one(recovered.granted.id)).values()) == {Guarantee.GUARANTEED}


async def test_an_event_that_is_over_holds_no_link(here: Slices) -> None:
    fabric, queues = parts(here)
    await carry(here, "ev_1", "pe4")
    status = await here.open(GOLD)
    await fabric.remove("ev_1")
    await look(here)
    assert len((await here.one(status.granted.id)).links) == 2, "it may be carried again"
    await trees_of(here).drop_tree("ev_1", at_s=0.0)
    await look(here)
    assert ((await here.one(status.granted.id)).links, sliced(queues)) == ((), set())


async def test_two_functions_have_the_way_between_them(here: Slices) -> None:
    await carry(here, "ev_1", "c1", "pe4")
    pair = SliceRequest(grade=Grade.SILVER, functions=("edge-c1-1", "acquirer-pe1-1"))
    status = await here.open(pair)
    assert (status.streams, set(states(status))) == (("ev_1",), {("pe1", "c1")})
    with pytest.raises(SliceExists):
        await here.open(GOLD)
    with pytest.raises(NoSharedStream):
        await here.open(replace(pair, functions=("edge-c1-1", "edge-pe9-1")))


async def test_a_stream_has_one_slice(here: Slices) -> None:
    await here.open(GOLD)
    with pytest.raises(SliceExists):
        await here.open(replace(GOLD, grade=Grade.BRONZE))


async def test_slices_outlive_the_control_plane(here: Slices, database: Database) -> None:
    await carry(here, "ev_1", "pe4")
    status = await here.open(GOLD)
    await here.close()
    queues = FakeQueues()
    # What an earlier control plane left where nothing is wanted any more.
    await queues.ensure("pe4", DEVICES["pe4", "c1"], ())
    after = make_slices(database, SystemClock(), queues=queues)
    fabric, _ = parts(after)
    try:
        # The fabric does not carry the stream yet: the promise stays meanwhile.
        await look(after)
        assert sliced(queues) == {UP, DOWN}
        await carry(after, "ev_1", "pe4")
        await look(after)
        found = await after.one(status.granted.id)
        assert found.granted == status.granted
        assert set(states(found).values()) == {Guarantee.GUARANTEED}
        assert sliced(queues) == {UP, DOWN}
        assert set(fabric.slices) == {"ev_1"}
    finally:
        await after.close()


async def test_a_node_that_does_not_answer_is_shown_and_tried_again(here: Slices) -> None:
    _, queues = parts(here)
    queues.dead.add("c1")
    await carry(here, "ev_1", "pe4")
    status = await here.open(GOLD)
    assert states(status) == {
        ("pe1", "c1"): Guarantee.GUARANTEED,
        ("c1", "pe4"): Guarantee.NO_QUEUE,
    }
    queues.dead.clear()
    await look(here)
    status = await here.one(status.granted.id)
    assert set(states(status).values()) == {Guarantee.GUARANTEED}


async def test_a_queue_that_was_lost_is_laid_again(here: Slices) -> None:
    _, queues = parts(here)
    await carry(here, "ev_1", "pe4")
    status = await here.open(GOLD)
    queues.installed.clear()
    await look(here)
    status = await here.one(status.granted.id)
    assert set(states(status).values()) == {Guarantee.NO_QUEUE}
    await look(here)
    status = await here.one(status.granted.id)
    assert set(states(status).values()) == {Guarantee.GUARANTEED}
    for _ in DEVICES:  # of those without slices one is looked at a time
        await look(here)
    assert sliced(queues) == {UP, DOWN}


async def test_what_is_counted_since(here: Slices) -> None:
    fabric, queues = parts(here)
    await carry(here, "ev_1", "pe4")
    status = await here.open(GOLD)
    link = ("c1", "pe4")
    fabric.counted = FabricCounts(meters={1: Count(packets=5)}, links={link: Count(packets=5)})
    await look(here)
    fabric.counted = FabricCounts(
        meters={1: Count(packets=9, bytes=4000, drops=1)},
        links={link: Count(packets=8, bytes=3000)},
    )
    queues.sent[*DOWN, class_of(1)] = Count(packets=7, bytes=2800, drops=2)
    queues.sent[*DOWN, DEFAULT] = Count(packets=1, bytes=60)
    await look(here)
    status = await here.one(status.granted.id)
    assert status.offered.total == Count(packets=4, bytes=4000, drops=1)
    assert status.offered.mbps > 0
    by_link = {(one.source, one.target): one.traffic.total for one in status.links}
    assert by_link[link] == Count(packets=7, bytes=2800, drops=2)
    share = next(one for one in await here.shares() if (one.source, one.target) == link)
    assert (share.promised_mbps, share.left_mbps, share.mbps) == (50.0, 130.0, 200)
    assert share.tunnel.total == Count(packets=3, bytes=3000)
    assert share.rest.total == Count(packets=1, bytes=60)


async def test_a_network_without_switches_says_so(database: Database) -> None:
    here = replace(make_slices(database, SystemClock()), underlay=None)
    await here.run()
    for asked in (here.open(GOLD), here.all(), here.one("sl_1"), here.end("sl_1"), here.shares()):
        with pytest.raises(SlicesUnsupported):
            await asked
