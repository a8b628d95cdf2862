"""Mininet's hosts on our controller: they ping along paths, and by no other way."""

from collections.abc import AsyncIterator, Iterator

import pytest

from support import mininet_lab
from support.mininet_lab import MininetLab, MininetNet
from support.waiting import until

ABSENT = mininet_lab.absent()
pytestmark = [
    pytest.mark.lab,
    pytest.mark.timeout(120),
    pytest.mark.skipif(bool(ABSENT), reason=ABSENT),
]
SIZE = 4
BOTH = {("h1", "h3"), ("h3", "h1")}


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MininetNet]:
    with mininet_lab.running(tmp_path_factory.mktemp("mininet"), SIZE) as running:
        yield running


@pytest.fixture
async def lab(net: MininetNet) -> AsyncIterator[MininetLab]:
    async with mininet_lab.controlled(net) as made:
        yield made


async def test_hosts_ping_only_along_paths(lab: MininetLab) -> None:
    pings = await lab.net.ping()
    assert (set(pings.some), sum(pings.heard.values())) == (set(), 0)

    await lab.join("h1", "h3")
    pings = await lab.net.ping()
    assert set(pings.some) == set()
    assert pings.heard == {"h1": 0, "h2": 0, "h3": 2, "h4": 0}

    await lab.join("h3", "h1")
    await lab.join("h1", "h2")
    await lab.join("h2", "h1")
    pings = await lab.net.ping()
    assert pings.whole == {("h1", "h3"), ("h3", "h1"), ("h1", "h2"), ("h2", "h1")}
    assert pings.some == pings.whole
    assert pings.heard == {"h1": 4, "h2": 2, "h3": 2, "h4": 0}

    await lab.part("h3", "h1")
    pings = await lab.net.ping()
    assert pings.some == pings.whole == {("h1", "h2"), ("h2", "h1")}
    await lab.part("h1", "h3")
    await lab.part("h1", "h2")
    await lab.part("h2", "h1")
    pings = await lab.net.ping()
    assert (set(pings.some), sum(pings.heard.values())) == (set(), 0)


async def test_a_cut_cable_is_gone_round(lab: MininetLab) -> None:
    await lab.join("h1", "h3")
    await lab.join("h3", "h1")
    _, second = lab.way("h1", "h3")
    await lab.net.link(*second, "down")
    try:
        await lab.dead(second)
        pings = await until(lab.net.ping, lambda pings: pings.whole == BOTH, within_s=30)
        assert pings.some == BOTH
        assert not {second, second[::-1]} & {*lab.way("h1", "h3"), *lab.way("h3", "h1")}
    finally:
        await lab.net.link(*second, "up")
    await lab.dead()
