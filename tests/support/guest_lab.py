"""Guests of a testbed's nodes on the overlay, under what `umbel serve` is made of.

In: a testbed whose nodes are hypervisors. Out: a control plane with the loops that run functions,
move them and lead streams to them; what a node's switch and hypervisor show of guests.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from support import libvirtd, served_lab, testbed
from support.libvirt_worlds import images_here
from support.served_lab import Platform
from support.testbed import Testbed
from umbel.testbed.hypervisor import GUESTS
from umbel.testbed.plan import Guests

ABSENT = testbed.ABSENT or libvirtd.ABSENT
_LOOPS = ("delivery", "inline", "mobility", "paths")


@contextmanager
def hypervisors(document: object, folder: Path, *processes_at: str) -> Iterator[Testbed]:
    """A testbed of the document, whose nodes are hypervisors; functions at these stay processes."""
    guests = Guests(wanted=True, processes_at=processes_at)
    with testbed.running(document, folder, guests=guests) as up:
        yield up


@asynccontextmanager
async def serving(bed: Testbed, folder: Path, **changes: Any) -> AsyncIterator[Platform]:
    """A control plane over the testbed, with images to start guests from."""
    link = folder / "images"
    if not link.exists():
        link.symlink_to(images_here().folder)
    async with served_lab.platform(bed, folder, **changes) as umbel:
        loops = umbel.system.loops()
        tasks = [asyncio.create_task(loops[name]()) for name in _LOOPS]
        try:
            yield umbel
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def ports(bed: Testbed, node: str) -> list[str]:
    """The ports of guests that a node's br1 has."""
    listed = bed.nodes[node].run("ovs-vsctl", "list-ports", "br1").split()
    return [name for name in listed if name.startswith("vnet")]


def counted(bed: Testbed, node: str) -> tuple[int, int]:
    """How many packets the one guest of a node has sent and was given, as its switch counts."""
    (name,) = ports(bed, node)
    said = bed.nodes[node].run("ovs-ofctl", "-O", "OpenFlow14", "dump-ports", "br1", name)
    sent, given = re.findall(r"[rt]x pkts=(\d+)", said)
    return int(sent), int(given)


def guests(bed: Testbed, node: str) -> list[int]:
    """The processes of a node's guests."""
    files = (bed.folder / node / "libvirt/run/libvirt/qemu").glob("umbel-*.pid")
    return [int(file.read_text()) for file in files]


def guest_files(bed: Testbed) -> list[str]:
    """The files of guests that there are."""
    return sorted(path.name for path in (GUESTS / bed.name / "guests").glob("guest.*"))
