"""Service levels on a platform that runs: who is admitted, and what the report says."""

from pathlib import Path

import pytest

from support.virtual import scenario
from support.world import World, world
from umbel.catalogue.service_levels.model import MOST_VIEWERS, ServiceLevel
from umbel.delivery.service_reports import ServiceReport
from umbel.delivery.trees.view import NoCapacity

POLICIES = ["sls", "consolidation", "qos", "virca"]


async def promise(w: World, event: str, viewers: int, priority: int = 0) -> None:
    provider = (await w.system.catalogue.event(event)).provider_id
    level = ServiceLevel(provider_id=provider, viewers=viewers, priority=priority)
    await w.system.catalogue.service_levels.set_level(level)


async def report(w: World, event: str) -> ServiceReport:
    provider = (await w.system.catalogue.event(event)).provider_id
    return await w.system.service_reports.report(provider, 3600.0)


@pytest.mark.parametrize("policy", POLICIES)
def test_room_that_is_promised_is_kept_for_its_provider(tmp_path: Path, policy: str) -> None:
    @scenario
    async def run() -> None:
        async with world(tmp_path, policy=policy) as w:
            city, club = await w.live("pe1"), await w.live("pe2")
            before = await w.delivery.open_session(club, "pe2")
            await promise(w, city, MOST_VIEWERS)
            with pytest.raises(NoCapacity) as refusal:
                await w.delivery.open_session(club, "pe2")
            assert refusal.value.details["reason"] == "reserved"
            assert (await w.delivery.open_session(city, "pe2")).session.stream == city
            assert await w.delivery.session(before.session.id) == before.session
            await promise(w, club, 2, priority=1)
            await w.delivery.open_session(club, "pe2")
            with pytest.raises(NoCapacity):
                await w.delivery.open_session(club, "pe2")
            assert all((await report(w, club)).kept.values())

    run()


@scenario
async def test_a_promise_that_cannot_be_kept_is_reported_broken(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        city, club = await w.live("pe1"), await w.live("pe2")
        await promise(w, city, MOST_VIEWERS, priority=1)
        await promise(w, club, 1)
        with pytest.raises(NoCapacity):
            await w.delivery.open_session(club, "pe2")
        broken = await report(w, club)
        assert (broken.refused_promised, broken.kept["viewers"]) == (1, False)
        assert (await report(w, city)).kept["viewers"]
