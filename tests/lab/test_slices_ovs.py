"""Slices on real switches with a congested link between them: each stream gets its least rate."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from support import ovs
from support.ovs import Ovs, run
from umbel import migrations
from umbel.kit.db import Database
from umbel.network.slices import Grade, NoRoomForSlice, SliceRequest

pytest.importorskip("os_ken", reason="os-ken is not installed (umbel[sdn])")

from support import congestion
from support.congestion import DEVICE, LINK, OFFER, OFFERED_MBPS, STREAMS

ABSENT = ovs.absent()
pytestmark = [
    pytest.mark.lab,
    pytest.mark.timeout(180),
    pytest.mark.skipif(bool(ABSENT), reason=ABSENT),
]
LASTING_S = 3.0


@pytest.fixture(scope="module")
def switches(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Ovs]]:
    with congestion.link(tmp_path_factory.mktemp("slices")) as running:
        yield running


@pytest.fixture
async def database(sqlite_url: str) -> AsyncIterator[Database]:
    opened = Database(sqlite_url)
    try:
        await migrations.upgrade(opened)
        yield opened
    finally:
        await opened.close()


def shown(switches: dict[str, Ovs]) -> str:
    """The queues of the link's near end."""
    enter = ("ip", "netns", "exec", switches["root"].namespace)
    return run(*enter, "tc", "qdisc", "show", "dev", DEVICE)


async def test_under_congestion_each_slice_gets_what_it_was_promised(
    switches: dict[str, Ovs], database: Database
) -> None:
    async with congestion.kept(switches, database) as slices:
        await asyncio.to_thread(congestion.measure, switches, dict.fromkeys(OFFERED_MBPS, 1.0), 0.5)
        without = await asyncio.to_thread(congestion.measure, switches, OFFERED_MBPS, LASTING_S)
        assert without[1].mbps < 0.9 * OFFER.terms[Grade.GOLD].min_mbps, "the link is not congested"
        opened = [
            await slices.open(SliceRequest(grade=grade, stream=stream))
            for stream, grade in zip(STREAMS, Grade, strict=True)
        ]
        with pytest.raises(NoRoomForSlice):
            await slices.open(SliceRequest(grade=Grade.BRONZE, stream="ev1-again"))
        await slices._settled()
        came = await asyncio.to_thread(congestion.measure, switches, OFFERED_MBPS, LASTING_S)
        for number, grade in enumerate(Grade, 1):
            assert came[number].mbps >= 0.95 * OFFER.terms[grade].min_mbps, came
        await slices._settled()
        gold, _, bronze = await slices.all()
        assert gold.offered.total.packets == came[1].sent
        assert gold.links[0].traffic.total.drops == 0
        assert bronze.links[0].traffic.total.drops > 0
        assert bronze.links[0].traffic.mbps > 0
        assert (await slices.shares())[0].tunnel.total.packets > 0
        for one in opened:
            await slices.end(one.granted.id)
        after = shown(switches)
        assert "756d:" not in after
        assert "qdisc htb 1: root" in after


async def test_no_slice_gets_more_than_its_most(
    switches: dict[str, Ovs], database: Database
) -> None:
    async with congestion.kept(switches, database) as slices:
        gold = await slices.open(SliceRequest(grade=Grade.GOLD, stream="ev1"))
        assert [(one.source, one.target) for one in gold.links] == [LINK]
        await slices._settled()
        came = await asyncio.to_thread(congestion.measure, switches, {1: 18.0}, LASTING_S)
        most = OFFER.terms[Grade.GOLD].max_mbps
        assert 0.8 * most <= came[1].mbps <= 1.1 * most
        await slices._settled()
        (gold,) = await slices.all()
        assert gold.offered.total.drops == came[1].sent - came[1].came
