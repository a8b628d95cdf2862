"""TLS of libvirt and QEMU, with certificates of the platform's own authority: what copies show on
the wire, what is refused, and libvirt's own calls."""

import asyncio
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread

import pytest

from support.guest_moves import Surroundings, guest_plane
from support.libvirt_worlds import Ground
from support.libvirtd import ABSENT, RealHypervisor
from support.moving_worlds import MovingGuests, moving_guests
from umbel.compute.drivers.libvirt.context import GuestContext, GuestLimits
from umbel.compute.drivers.libvirt.link import connected
from umbel.compute.hypervisors.authority import Authority, Issued
from umbel.compute.hypervisors.model import CopyAccess, HypervisorUnreachable
from umbel.kit import netns
from umbel.kit.clock import SystemClock
from umbel.mobility.model import MigrationState

pytestmark = [
    pytest.mark.lab,
    pytest.mark.timeout(600),
    pytest.mark.skipif(bool(ABSENT), reason=ABSENT),
]

OURS, THEIRS = (Authority(secret, "0123456789abcdef") for secret in (b"ours", b"theirs"))
IN_MEMORY = b"Linux version "
"""What every guest's kernel keeps."""
_ALL_FRAMES, _LONGEST = 0x0003, 1 << 18


@contextmanager
def watched(real: RealHypervisor) -> Iterator[Callable[[], bool]]:
    """Whether a guest's memory was readable in what went between the hypervisors until then."""
    lan = real.segment

    def tap() -> socket.socket:
        made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ALL_FRAMES))
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 26)
        made.settimeout(0.1)
        return made

    listening = netns.inside(lan.switch, tap)
    is_over, seen = Event(), Event()

    def read() -> None:
        while not is_over.is_set():
            with suppress(TimeoutError):
                if IN_MEMORY in listening.recv(_LONGEST):
                    seen.set()

    reading = Thread(target=read)
    reading.start()

    def ended() -> bool:
        is_over.set()
        reading.join()
        return seen.is_set()

    try:
        yield ended
    finally:
        ended()
        listening.close()


def set_plain(world: MovingGuests, *, is_plain: bool) -> None:
    for name, one in world.rows.hypervisors.items():
        copies = CopyAccess(address=one.copies.address, is_plain=is_plain)
        world.rows.hypervisors[name] = replace(one, copies=copies)


async def test_copies_over_tls_hide_a_guests_memory_and_go_to_our_hypervisors_only(
    two_hypervisors: Ground, tmp_path: Path
) -> None:
    a, b = two_hypervisors.a, two_hypervisors.b
    async with moving_guests(two_hypervisors) as world:
        set_plain(world, is_plain=False)
        for real in (a, b):
            real.certify(OURS)
        async with guest_plane(Surroundings.of(world, tmp_path), "over TLS") as plane:
            plane.run()
            guest = await plane.guest()
            with watched(a) as was_readable:
                over = await plane.moved("pe1")
                assert (over.state, over.reason) == (MigrationState.COMMITTED, "")
                assert not was_readable()
            for authority, reason in ((THEIRS, "known issuer"), (None, "ca-cert.pem")):
                b.certify(authority)
                over = await plane.moved("pe2")
                assert over.state is MigrationState.ABORTED
                assert reason in over.reason
                assert world.running_at(guest.id) == ["pe1"]
                assert await asyncio.to_thread(world.left, "pe2") == []
        set_plain(world, is_plain=True)
        async with guest_plane(Surroundings.of(world, tmp_path), "plain") as plane:
            plane.guests.rows[plane.edge.id] = replace(plane.edge, node="pe1")
            plane.run()
            with watched(a) as was_readable:
                over = await plane.moved("pe2")
                assert (over.state, over.reason) == (MigrationState.COMMITTED, "")
                assert was_readable(), "the tap sees what is not hidden"


def own_files(folder: Path, issued: Issued) -> Path:
    """As libvirt looks for them."""
    folder.mkdir()
    (folder / "cacert.pem").write_text(issued.authority)
    (folder / "clientcert.pem").write_text(issued.certificate)
    (folder / "clientkey.pem").write_text(issued.key)
    return folder


async def test_libvirt_is_called_over_tls_by_our_control_plane_only(
    two_hypervisors: Ground, tmp_path: Path
) -> None:
    real = two_hypervisors.a
    real.reach_host()
    real.certify(OURS)
    real.stop()
    real.start(takes_tls=True)
    try:
        there = replace(real.hypervisor, uri=f"qemu+tls://{real.own_address}/system")
        for name, authority in (("ours", OURS), ("theirs", THEIRS)):
            around = GuestContext(
                installation="0123456789abcdef",
                images=two_hypervisors.images,
                clock=SystemClock(),
                limits=GuestLimits(connect_s=30.0, wait_s=30.0),
                certificates=own_files(tmp_path / name, authority.own()),
            )
            async with connected(there, around) as link:
                if authority is OURS:
                    assert (await link.facts()).cores >= 1
                else:
                    with pytest.raises(HypervisorUnreachable):
                        await link.facts()
    finally:
        real.stop()
        real.certify(None)
        real.start()
