"""Guests with ports on the overlay: real libvirtd, QEMU and Open vSwitch, under `umbel serve`."""

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from support import guest_lab, overlay_lab, testbed
from support.guest_lab import counted, ports
from support.overlay_traffic import Taker, sending, taking
from support.served_lab import Platform
from support.testbed import Testbed
from support.waiting import until
from umbel.network.model import Endpoint

pytestmark = [
    pytest.mark.lab,
    pytest.mark.timeout(600),
    pytest.mark.skipif(bool(guest_lab.ABSENT), reason=guest_lab.ABSENT),
]


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Testbed]:
    """A stream goes from a by b to the host h at c; guests run at b, and d stands by."""
    document = testbed.drawn(
        ("a", "b", "c", "d"), [("a", "b"), ("b", "c"), ("b", "d"), ("d", "c")], hosts={"h": "c"}
    )
    with guest_lab.hypervisors(document, tmp_path_factory.mktemp("guests"), "a", "c") as up:
        yield up


async def carried(umbel: Platform, bed: Testbed, taker: Taker) -> Endpoint:
    """Where the stream `talk` is to be sent, which the host takes."""
    receiver = {
        "address": taker.end.address,
        "mac": bed.hosts["h"].mac,
        "port": taker.end.port,
    }
    asked = {"stream": "talk", "root": "a", "sender": "inside", "leaf": "c", "receiver": receiver}
    made = await umbel.ask("POST", "/paths", json=asked)
    return Endpoint(node="a", address=made["target"]["address"], port=made["target"]["port"])


async def comes_from(taker: Taker, sender: str) -> None:
    """Return once what the host takes has that source, and no other."""

    async def sources() -> set[str]:
        while True:  # what waits is of before
            try:
                taker.socket.recv(2000)
            except BlockingIOError:
                break
        found = set()
        for _ in range(5):
            found.add(await _source(taker))
        return found

    await until(sources, lambda found: found == {sender}, within_s=120)


async def _source(taker: Taker) -> str:
    async with asyncio.timeout(60):
        _, (address, _) = await asyncio.get_running_loop().sock_recvfrom(taker.socket, 2000)
    return str(address)


async def until_met(umbel: Platform, where: str) -> dict[str, Any]:
    """The in-line function, once its stream passes it at that node."""

    async def found() -> dict[str, Any]:
        (one,) = await umbel.ask("GET", "/functions")
        return dict(one)

    return await until(found, lambda one: one["on_path"] and one["node"] == where, within_s=300)


async def test_a_stream_passes_a_guest_from_when_its_port_comes_until_it_goes(
    bed: Testbed, tmp_path: Path
) -> None:
    """Also while there is no control plane, and with the next one, which adopts the port."""
    with taking(bed, host="h") as (taker,):
        async with AsyncExitStack() as first:
            umbel = await first.enter_async_context(guest_lab.serving(bed, tmp_path))
            to = await carried(umbel, bed, taker)
            with sending(bed, "a", to, rate=50) as sender:
                sender.begin()
                await comes_from(taker, "10.202.1.1")
                before = overlay_lab.dumped(bed, "b")
                asked = {"stream": "talk", "port": 5004, "node": "b", "image": "relay"}
                await umbel.ask("PUT", "/functions/relay", json=asked)
                address = (await until_met(umbel, "b"))["address"]
                await comes_from(taker, address)
                assert min(counted(bed, "b")) > 0
                running = guest_lab.guests(bed, "b")
                await first.aclose()

                await comes_from(taker, address)
                async with guest_lab.serving(bed, tmp_path) as umbel:
                    assert (await until_met(umbel, "b"))["address"] == address
                    assert guest_lab.guests(bed, "b") == running
                    await comes_from(taker, address)
                    await umbel.ask("DELETE", "/functions/relay")
                    await until(lambda: gone(bed, "b"), within_s=60)
                    await comes_from(taker, "10.202.1.1")
                    await until(lambda: held(bed, "b"), lambda rules: rules == before)
    assert guest_lab.guest_files(bed) == []


async def gone(bed: Testbed, node: str) -> bool:
    return not ports(bed, node) and not guest_lab.guests(bed, node)


async def held(bed: Testbed, node: str) -> list[str]:
    return overlay_lab.dumped(bed, node)
