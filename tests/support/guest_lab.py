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

import yaml

from support import libvirtd, overlay_lab, served_lab, testbed
from support.libvirt_worlds import images_here
from support.served_lab import Platform
from support.testbed import Testbed
from umbel.compute.hypervisors import document
from umbel.compute.hypervisors.model import Hypervisor
from umbel.compute.model import (
    Description,
    Function,
    HealthCheck,
    Port,
    Readiness,
    Resources,
    Transport,
)
from umbel.network.model import Endpoint
from umbel.testbed.hypervisor import GUESTS
from umbel.testbed.plan import GuestSettings

ABSENT = testbed.ABSENT or libvirtd.ABSENT
_LOOPS = ("delivery", "inline", "mobility", "paths")


@contextmanager
def hypervisors(network: object, folder: Path, *processes_at: str) -> Iterator[Testbed]:
    """A testbed of the network, whose nodes are hypervisors; functions at these stay processes."""
    guests = GuestSettings(wanted=True, processes_at=processes_at)
    with testbed.running(network, folder, guests=guests) as up:
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


def disown(bed: Testbed) -> None:
    """The storage of guests belongs to no installation."""
    for mark in (GUESTS / bed.name / "guests").glob("umbel.*.owner"):
        mark.unlink()


def hypervisors_of(bed: Testbed, *nodes: str) -> tuple[Hypervisor, ...]:
    """What the sites file says of these nodes' hypervisors."""
    found, problems = document.inspect(yaml.safe_load(bed.sites_file.read_text()))
    assert problems == []
    return tuple(one for one in found if one.name in nodes)


def relaying(node: str, to: Endpoint) -> Function:
    """A guest that sends datagrams on to somebody."""
    described = Description(
        name="relay",
        image="relay",
        resources=Resources(cores=0.25, memory_mb=128.0),
        ports=(Port(name="control"), Port(name="udp", transport=Transport.UDP)),
        readiness=Readiness.REPORTED,
        health=HealthCheck(port="control", path="/healthz"),
    )
    hops = {"UMBEL_NEXT_HOPS": f"{to.address}:{to.port}"}
    return Function(id="leaf-1", node=node, description=described, environment=hops)


def rules(bed: Testbed) -> dict[str, list[str]]:
    """Every switch's rules, with a word for the port of the guest, whose number may change."""
    found = {}
    for node in bed.nodes:
        lines = "\n".join(overlay_lab.dumped(bed, node))
        for name in ports(bed, node):
            number = bed.nodes[node].run("ovs-vsctl", "get", "Interface", name, "ofport").strip()
            lines = re.sub(rf"(in_port=|output:){number}\b", r"\1GUEST", lines)
        found[node] = sorted(lines.splitlines())
    return found
