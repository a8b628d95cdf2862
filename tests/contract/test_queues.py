"""What everything does that makes the queues under tunnels; real ones need root."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from support.ovs import network_namespace, run
from umbel.network.drivers.fake.fabric import FakeQueues
from umbel.network.drivers.linux.tc import TcQueues
from umbel.network.slices.admission import (
    CONTROL,
    DEFAULT,
    LINK,
    QueueClass,
    QueueRefused,
    StreamDestination,
    class_of,
)
from umbel.network.slices.ports import Queues

NODE, DEVICE = "pe1", "to-c1"
Shown = Callable[[], set[int]]


def queue(number: int, kbps: int, dscp: int | None = None, *flows: StreamDestination) -> QueueClass:
    return QueueClass(
        number=number,
        rate_kbps=kbps,
        ceil_kbps=100_000,
        priority=number % 4,
        depth=100,
        dscp=dscp,
        flows=flows,
    )


BASE = (queue(LINK, 100_000), queue(CONTROL, 1_000, 48), queue(DEFAULT, 40_000))
GOLD = queue(class_of(1), 50_000, 32, StreamDestination(address="10.203.0.1", port=5004))


def absent() -> str:
    if os.geteuid() != 0:
        return "not root: no namespace and no queue can be made"
    return "" if shutil.which("tc") else "tc is not installed (iproute2)"


@contextmanager
def real() -> Iterator[tuple[Queues, str]]:
    namespace = f"umbel-{os.getpid()}-queues"
    with network_namespace(namespace):
        run("ip", "-n", namespace, "link", "add", DEVICE, "type", "veth", "peer", "name", "far")
        run("ip", "-n", namespace, "link", "set", DEVICE, "up")
        yield TcQueues(lambda _: ("ip", "netns", "exec", namespace)), namespace


@pytest.fixture(params=["fake", pytest.param("tc", marks=pytest.mark.lab)])
def queues(request: pytest.FixtureRequest) -> Iterator[Queues]:
    if request.param == "fake":
        yield FakeQueues()
        return
    if reason := absent():
        pytest.skip(reason)
    with real() as (made, _):
        yield made


async def numbers(queues: Queues) -> set[int]:
    return set(await queues.counts(NODE, DEVICE))


async def test_the_classes_are_those_asked_for_last(queues: Queues) -> None:
    assert await numbers(queues) == set()
    for classes in (BASE, (*BASE, GOLD), (*BASE, GOLD), (*BASE, queue(class_of(2), 9, 24)), BASE):
        await queues.ensure(NODE, DEVICE, classes)
        assert await numbers(queues) == {one.number for one in classes}


async def test_removing_minds_nothing_unknown_and_can_be_undone(queues: Queues) -> None:
    await queues.remove(NODE, DEVICE)
    await queues.ensure(NODE, DEVICE, (*BASE, GOLD))
    for _ in range(2):
        await queues.remove(NODE, DEVICE)
        assert await numbers(queues) == set()
    await queues.ensure(NODE, DEVICE, (*BASE, GOLD))
    assert await numbers(queues) == {one.number for one in (*BASE, GOLD)}


async def test_what_cannot_be_asked_is_said(queues: Queues) -> None:
    gone = NODE
    if isinstance(queues, FakeQueues):
        queues.dead.add(NODE)
    with pytest.raises(QueueRefused):
        await queues.ensure(gone, "no-such-device", BASE)


@pytest.mark.lab
@pytest.mark.skipif(bool(absent()), reason=absent() or "-")
async def test_a_driver_begun_anew_goes_on_with_what_it_finds_and_a_shaper_stays() -> None:
    with real() as (first, namespace):
        tc = ("ip", "netns", "exec", namespace, "tc")
        shaper = (
            "root",
            "handle",
            "1:",
            "tbf",
            "rate",
            "100mbit",
            "burst",
            "32k",
            "latency",
            "9ms",
        )
        run(*tc, "qdisc", "add", "dev", DEVICE, *shaper)
        before = run(*tc, "qdisc", "show", "dev", DEVICE)
        await first.ensure(NODE, DEVICE, (*BASE, GOLD))
        again = TcQueues(lambda _: tc[:-1])
        faster = replace(
            GOLD, rate_kbps=60_000, flows=(StreamDestination(address="10.203.0.2", port=1),)
        )
        await again.ensure(NODE, DEVICE, (*BASE, faster))
        shown = run(*tc, "class", "show", "dev", DEVICE)
        assert f"756d:{GOLD.number:x} parent 756d:1" in shown
        assert "rate 60Mbit" in shown
        filters = run(*tc, "filter", "show", "dev", DEVICE, "parent", "756d:")
        assert filters.count("flowid 756d:10") == 1
        assert "qdisc tbf 1: root" in run(*tc, "qdisc", "show", "dev", DEVICE)
        await again.remove(NODE, DEVICE)
        assert run(*tc, "qdisc", "show", "dev", DEVICE) == before


@pytest.mark.lab
@pytest.mark.skipif(bool(absent()), reason=absent() or "-")
async def test_half_a_queue_is_taken_away_again() -> None:
    with real() as (made, namespace):
        bad = replace(GOLD, flows=(StreamDestination(address="10.203.0.1", port=70_000),))
        with pytest.raises(QueueRefused):
            await made.ensure(NODE, DEVICE, (*BASE, bad))
        shown = run("ip", "netns", "exec", namespace, "tc", "qdisc", "show", "dev", DEVICE)
        assert "756d:" not in shown
