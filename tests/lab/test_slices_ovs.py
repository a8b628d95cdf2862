"""Slices on a testbed with a congested link: each stream gets its least rate, whatever comes."""

from collections.abc import AsyncIterator, Iterator

import pytest

from support import congestion, databases, testbed
from support.congestion import LINK, OFFER, OFFERED_MBPS, STREAMS, Congestion
from support.testbed import Testbed
from umbel.kit.db import Database
from umbel.network.events import Event, LinkDown
from umbel.network.slices.admission import Grade, NoRoomForSlice, SliceRequest

ABSENT = testbed.ABSENT
pytestmark = [
    pytest.mark.lab,
    pytest.mark.alone,
    pytest.mark.timeout(180),
    pytest.mark.skipif(bool(ABSENT), reason=ABSENT),
]
LASTING_S = 3.0


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Testbed]:
    with congestion.link(tmp_path_factory.mktemp("slices")) as running:
        yield running


@pytest.fixture
async def database(sqlite_url: str) -> AsyncIterator[Database]:
    opened = Database(sqlite_url)
    try:
        await databases.prepare(opened)
        yield opened
    finally:
        await opened.close()


def deaths(here: Congestion) -> list[Event]:
    """The links taken for dead since the last look."""
    told, here.lab.events[:] = list(here.lab.events), []
    return [event for event in told if isinstance(event, LinkDown)]


async def test_under_congestion_each_slice_gets_what_it_was_promised(
    bed: Testbed, database: Database
) -> None:
    async with congestion.kept(bed, database) as here:
        slices = here.slices
        await here.measure(dict.fromkeys(OFFERED_MBPS, 1.0), 0.5)
        deaths(here)
        without = await here.measure(OFFERED_MBPS, LASTING_S)
        assert not deaths(here), "the tunnel's life signs drowned"
        assert without[1].mbps < 0.9 * OFFER.terms[Grade.GOLD].min_mbps, "the link is not congested"
        opened = [
            await slices.open(SliceRequest(grade=grade, stream=stream))
            for stream, grade in zip(STREAMS, Grade, strict=False)
        ]
        with pytest.raises(NoRoomForSlice):
            await slices.open(SliceRequest(grade=Grade.BRONZE, stream="ev4"))
        await slices._reconciled()
        came = await here.measure(OFFERED_MBPS, LASTING_S)
        for number, grade in enumerate(Grade, 1):
            assert came[number].mbps >= 0.95 * OFFER.terms[grade].min_mbps, came
        assert not deaths(here)
        await slices._reconciled()
        gold, _, bronze = await slices.all()
        assert gold.offered.total.packets == came[1].sent
        assert gold.links[0].traffic.total.drops == 0
        assert bronze.links[0].traffic.total.drops > 0
        assert bronze.links[0].traffic.mbps > 0
        assert (await slices.shares())[0].tunnel.total.packets > 0
        for one in opened:
            await slices.end(one.granted.id)
        after = here.shown()
        assert " 7010: " not in after
        assert " 7002: " in after, "life signs have their class whether there are slices or not"
        assert "qdisc htb 1: root" in after


async def test_no_slice_gets_more_than_its_most(bed: Testbed, database: Database) -> None:
    async with congestion.kept(bed, database) as here:
        slices = here.slices
        gold = await slices.open(SliceRequest(grade=Grade.GOLD, stream="ev1"))
        assert [(one.source, one.target) for one in gold.links] == [LINK]
        await slices._reconciled()
        came = await here.measure({1: 18.0}, LASTING_S)
        most = OFFER.terms[Grade.GOLD].max_mbps
        assert 0.8 * most <= came[1].mbps <= 1.1 * most
        await slices._reconciled()
        (gold,) = await slices.all()
        assert gold.offered.total.drops == came[1].sent - came[1].came
