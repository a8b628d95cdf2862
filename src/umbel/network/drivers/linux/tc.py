"""Queues under the tunnels by Linux's traffic control: HTB classes, told apart by u32 filters.

In: classes from slices.py, a node and its device toward a neighbour. Out: `tc` run where the node
is (in its namespace, or over a remote shell). A device that is shaped already keeps its shaper:
our classes hang below it. `script` and the parsers are pure.
"""

import ipaddress
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from umbel.kit import programs
from umbel.network.slices.admission import (
    DEFAULT,
    LINK,
    QueueClass,
    QueueRefused,
    StreamDestination,
)
from umbel.network.switching.counters import Count
from umbel.network.topology.sites import TunnelKind

_HANDLE = "756d:"
_QUANTUM = 3_000
_TIMEOUT_S = 10.0
_INNER = {TunnelKind.GRE: 20 + 8 + 14, TunnelKind.VXLAN: 20 + 8 + 8 + 14}
"""Where the packet inside begins, behind the outer IP header: a GRE header with a key (RFC 2890),
or UDP and VXLAN's (RFC 7348), and the inner Ethernet header."""
_OUTER = {TunnelKind.GRE: 47, TunnelKind.VXLAN: 17}


@dataclass(frozen=True, kw_only=True)
class Device:
    """What a device has now: our qdisc's parent (`root` or a class; empty when it has none of
    ours), the parent ours would get, and the numbers of our classes."""

    ours: str
    free: str
    numbers: frozenset[int] = frozenset()


class TcQueues:
    """`reach` gives the words before a command that make it run at a node, such as
    `ip netns exec umbel-pe1`. Devices are not to be a userspace switch's own ports but the kernel's
    beyond them: such a switch sends by one socket whose buffer holds about 90 packets for all its
    ports, and what waits beyond is lost whatever its class."""

    def __init__(
        self,
        reach: Callable[[str], Sequence[str]],
        tunnels: TunnelKind = TunnelKind.GRE,
    ) -> None:
        self._reach = reach
        self._tunnels = tunnels
        self._laid: dict[tuple[str, str], tuple[QueueClass, ...]] = {}

    async def ensure(self, node: str, device: str, classes: Sequence[QueueClass]) -> None:
        have = await self._read(node, device)
        laid = self._laid.pop((node, device), ())
        wanted = tuple(classes)
        if have.numbers == {one.number for one in wanted} and laid == wanted:
            self._laid[node, device] = wanted
            return
        lines = [*script(device, have, laid, wanted, self._tunnels)]
        try:
            await self._tc(node, "-batch", "-", said="\n".join(lines) + "\n")
        except QueueRefused:
            await self.remove(node, device)  # half a queue would hold packets back
            raise
        self._laid[node, device] = wanted

    async def remove(self, node: str, device: str) -> None:
        self._laid.pop((node, device), None)
        have = await self._read(node, device)
        if have.ours:
            await self._tc(node, "qdisc", "del", "dev", device, *have.ours.split())

    async def counts(self, node: str, device: str) -> Mapping[int, Count]:
        return parse_counts(await self._tc(node, "-s", "class", "show", "dev", device))

    async def _read(self, node: str, device: str) -> Device:
        found = parse_device(await self._tc(node, "-j", "qdisc", "show", "dev", device))
        if not found.ours:
            return found
        said = await self._tc(node, "-s", "class", "show", "dev", device)
        return replace(found, numbers=frozenset(parse_counts(said)))

    async def _tc(self, node: str, *words: str, said: str = "") -> str:
        return await self._run(node, "tc", *words, said=said)

    async def _run(self, node: str, *words: str, said: str = "") -> str:
        command = (*self._reach(node), *words)
        try:
            ended = await programs.run(*command, said=said, within_s=_TIMEOUT_S)
        except TimeoutError:
            raise QueueRefused("The node did not answer in time", node=node) from None
        if ended.code:
            raise QueueRefused(f"{words[0]} at {node}: {ended.wrong.strip()}", node=node)
        return ended.out


def script(
    device: str,
    have: Device,
    laid: Sequence[QueueClass],
    classes: Sequence[QueueClass],
    tunnels: TunnelKind = TunnelKind.GRE,
) -> Iterator[str]:
    """The lines for `tc -batch` that make the device's classes these. `laid` are those that are
    known to be there as they are; of others only the numbers are."""
    known = {one.number: one for one in laid if one.number in have.numbers}
    wanted = {one.number for one in classes}
    if not have.ours:
        yield f"qdisc replace dev {device} {have.free} handle {_HANDLE} htb default {DEFAULT:x}"
    for gone in sorted(have.numbers - wanted):
        yield f"filter del dev {device} parent {_HANDLE} protocol ip prio {gone}"
        yield f"class del dev {device} classid {_HANDLE}{gone:x}"
    # The oldest packet of a full class goes. Refusing the newest would be an error to a userspace
    # switch, which then throws away the rest of its batch, of whatever class.
    for one in classes:
        before = known.get(one.number)
        if before == one:
            continue
        yield _class(device, one)
        if one.number != LINK:
            queue = f"qdisc replace dev {device} parent {_HANDLE}{one.number:x}"
            yield f"{queue} handle {one.number + 0x7000:x}: pfifo_head_drop limit {one.depth}"
        if before is None or (before.dscp, before.flows) != (one.dscp, one.flows):
            yield from _filters(device, one, one.number in have.numbers, tunnels)


def _class(device: str, one: QueueClass) -> str:
    parent = _HANDLE if one.number == LINK else f"{_HANDLE}{LINK:x}"
    return (
        f"class replace dev {device} parent {parent} classid {_HANDLE}{one.number:x} htb "
        f"rate {one.rate_kbps}kbit ceil {one.ceil_kbps}kbit prio {one.priority} "
        f"quantum {_QUANTUM}"
    ) + (f" burst {one.burst_bytes}b" if one.burst_bytes else "")


def _filters(device: str, one: QueueClass, is_there: bool, tunnels: TunnelKind) -> Iterator[str]:
    """Between the old filter and the new one, packets are the rest's; none is lost."""
    if one.dscp is None:
        return
    which = f"dev {device} parent {_HANDLE} protocol ip prio {one.number}"
    if is_there:
        yield f"filter del {which}"
    marked = f"match ip tos {one.dscp << 2:#x} 0xfc"
    for flow in one.flows:
        inside = " ".join(_inside(flow, tunnels))
        yield f"filter add {which} u32 {marked} {inside} flowid {_HANDLE}{one.number:x}"
    if not one.flows:
        yield f"filter add {which} u32 {marked} flowid {_HANDLE}{one.number:x}"


def _inside(flow: StreamDestination, tunnels: TunnelKind) -> Iterator[str]:
    """A UDP packet to the flow's destination, in a tunnel; any packet to its address for port 0."""
    at = _INNER[tunnels]
    address = int(ipaddress.IPv4Address(flow.address))
    yield f"match ip protocol {_OUTER[tunnels]} 0xff"
    if flow.port:
        yield f"match u8 17 0xff at {at + 9}"
    yield f"match u16 {address >> 16:#x} 0xffff at {at + 16}"
    yield f"match u16 {address & 0xFFFF:#x} 0xffff at {at + 18}"
    if flow.port:
        yield f"match u16 {flow.port} 0xffff at {at + 22}"


def parse_device(said: str) -> Device:
    """Of `tc -j qdisc show`. Raises QueueRefused for what is not its answer."""
    try:
        answer = json.loads(said or "[]")
    except (ValueError, RecursionError):
        raise QueueRefused("tc does not answer in JSON") from None
    if not isinstance(answer, list):
        raise QueueRefused("tc does not answer with a list")
    found = [one for one in answer if isinstance(one, dict)]
    ours = next((one for one in found if one.get("handle") == _HANDLE), {})
    root = next((one for one in found if one.get("root") and one is not ours), {})
    place = f"parent {ours['parent']}" if ours.get("parent") else "root"
    return Device(ours=place if ours else "", free=_below(root))


def _below(root: Mapping[str, object]) -> str:
    """Where a qdisc can hang so that a shaper at the root goes on."""
    handle, options = root.get("handle"), root.get("options")
    if root.get("kind") == "tbf":
        return f"parent {handle}1"
    if root.get("kind") == "htb" and isinstance(options, dict):
        default = str(options.get("default", "0x0")).removeprefix("0x")
        if default.strip("0"):
            return f"parent {handle}{default}"
    return "root"


_CLASS = re.compile(r"class htb " + _HANDLE + r"([0-9a-f]{1,4}) ")
_SENT = re.compile(r"\s*Sent (\d+) bytes (\d+) pkt \(dropped (\d+),")


def parse_counts(said: str) -> dict[int, Count]:
    """Of `tc -s class show`: our classes by number."""
    found: dict[int, Count] = {}
    number: int | None = None
    for line in said.splitlines():
        if line.startswith("class "):
            match = _CLASS.match(line)
            number = int(match[1], 16) if match else None
        elif number is not None and (sent := _SENT.match(line)):
            size, packets, drops = map(int, sent.groups())
            found[number] = Count(packets=packets, bytes=size, drops=drops)
    return found
