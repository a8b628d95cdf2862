"""Guests with ports on the overlay: real libvirtd, QEMU and Open vSwitch, under `umbel serve`."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from support import guest_lab, overlay_lab, served_lab, testbed
from support.guest_lab import counted, ports
from support.guest_moves import GuestPlane, Surroundings, guest_plane
from support.libvirt_worlds import images_here
from support.overlay_traffic import Taker, came, sending, taking
from support.served_lab import Platform
from support.testbed import Testbed
from support.waiting import until
from umbel.kit import tokens
from umbel.mobility.live import LiveMover
from umbel.mobility.model import MigrationState
from umbel.network.model import Endpoint, Hop

pytestmark = [
    pytest.mark.lab,
    pytest.mark.timeout(600),
    pytest.mark.skipif(bool(guest_lab.ABSENT), reason=guest_lab.ABSENT),
]
RATE, FEWEST_SENT, MOST_DROPPED = 100, 500, 5
"""Datagrams a second; in all, over two moves, which stop an emulated guest for some seconds; and
those that QEMU holds for a guest when it stops. QEMU drops them (net_vm_change_state_handler): a
guest that moves has them at its target, and one that is called back has lost them."""


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Testbed]:
    """A stream goes from a by b to the host h at c; guests run at b, and d stands by."""
    document = testbed.drawn(
        ("a", "b", "c", "d"), [("a", "b"), ("b", "c"), ("b", "d"), ("d", "c")], hosts={"h": "c"}
    )
    with guest_lab.hypervisors(document, tmp_path_factory.mktemp("guests"), "a", "c") as up:
        yield up


@pytest.fixture(autouse=True)
def storage_of_nobody(bed: Testbed) -> None:
    """Each test has an installation of its own; one must not find the storage of another's."""
    guest_lab.disown(bed)


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


@asynccontextmanager
async def moving(
    bed: Testbed, folder: Path, to: Endpoint
) -> AsyncIterator[tuple[GuestPlane, Endpoint]]:
    """A control plane that moves a guest between b and d, which sends what it takes to there; the
    network's way goes first. With it, where the guest's stream is to be sent."""
    key = folder / "key.pem"
    key.write_bytes(tokens.Signer(tokens.new_private_key()).public_key)
    around = Surroundings(
        hypervisors=guest_lab.hypervisors_of(bed, "b", "d"),
        edge=guest_lab.relaying("b", to),
        key=key,
        images=images_here().folder,
        folder=folder,
    )
    async with (
        served_lab.platform(bed, folder / "network") as umbel,
        guest_plane(around, "cp") as plane,
    ):
        for mover in plane.mobility.movers.values():
            assert isinstance(mover, LiveMover)
            mover.paths = umbel.system.network.guest_moves
        plane.run()
        guest = await plane.guest()
        hop = Hop(
            source_node="a",
            target=Endpoint(node="b", address=guest.address, port=guest.ports["udp"]),
        )
        found = await umbel.system.network.overlay.ensure("leaf", [hop])
        try:
            yield plane, found[hop]
        finally:
            plane.guests.rows.clear()
            await until(lambda: gone(bed, "b"), within_s=60)
            await until(lambda: gone(bed, "d"), within_s=60)
            await umbel.system.network.overlay.remove("leaf")


@pytest.mark.clouds
async def test_the_way_goes_before_the_guest_and_nothing_is_left_of_the_old_one(
    bed: Testbed, tmp_path: Path
) -> None:
    """A leaf moves there, is called back on its way, and moves home."""
    with taking(bed, host="h") as (taker,):
        async with moving(bed, tmp_path, taker.end) as (plane, at):
            with sending(bed, "a", at, rate=RATE) as sender:
                sender.begin()
                took = await came(taker)
                at_home = await settled(bed)

                over = await plane.moved("d")
                assert (over.state, over.reason) == (MigrationState.COMMITTED, "")
                took += await came(taker, max(took))
                assert (ports(bed, "b"), len(ports(bed, "d"))) == ([], 1)
                away = await settled(bed)
                assert away != at_home

                before = max(took)
                begun = await plane.ask("b")
                await plane.until(begun, lambda one: one.state is MigrationState.COPYING)
                await plane.mobility.cancel(begun.id, by="bert")
                over = await plane.until(begun, lambda one: one.is_over)
                assert over.state is MigrationState.ABORTED
                took += await came(taker, max(took))
                called_back = range(before, max(took))
                await until(lambda: held_everywhere(bed), lambda now: now == away)

                over = await plane.moved("b")
                assert (over.state, over.reason) == (MigrationState.COMMITTED, "")
                took += await came(taker, max(took))
                await until(lambda: held_everywhere(bed), lambda now: now == at_home)
                took += await came(taker, max(took))
                sent = await sender.stop()

            def is_right(lost: list[int]) -> bool:
                return len(lost) <= MOST_DROPPED and {*lost} <= {*called_back}

            await until(lambda: missing(taker, took, sent), is_right, within_s=60)
    assert sent > FEWEST_SENT


async def missing(taker: Taker, took: Counter[int], sent: int) -> list[int]:
    """The datagrams that have not come yet, of those after the first that came."""
    took += taker.took()
    return [number for number in range(min(took), sent) if number not in took]


async def held_everywhere(bed: Testbed) -> dict[str, list[str]]:
    return await asyncio.to_thread(guest_lab.rules, bed)


async def settled(bed: Testbed) -> dict[str, list[str]]:
    """The switches' rules, once they do not change any more."""
    seen: list[dict[str, list[str]]] = [await held_everywhere(bed)]

    async def is_same() -> bool:
        seen.append(await held_everywhere(bed))
        return seen[-1] == seen[-2]

    await until(is_same)
    return seen[-1]
