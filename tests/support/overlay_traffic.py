"""Processes of a testbed's nodes that send and take a stream.

In: a testbed that is up. Out: takers, which are sockets inside nodes; senders, which are processes
of nodes that number their datagrams; taps, which see what crosses a device.
"""

import asyncio
import socket
import struct
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from support.testbed import Testbed
from support.waiting import until
from umbel.kit import netns
from umbel.network.model import Endpoint

_SENDER = """
import select, socket, sys, time
address, port, rate, most = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])
sending = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
print("ready", flush=True)
sys.stdin.readline()
number, began = 0, time.perf_counter()
while number != most:
    late = began + number / rate - time.perf_counter()
    if select.select([sys.stdin], [], [], max(late, 0))[0]:
        break
    sending.sendto(number.to_bytes(4, "big") + b"umbel" * 20, (address, port))
    number += 1
print(number, flush=True)
"""
_RELAY = """
import socket, sys
taking = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
taking.bind((sys.argv[1], 0))
print(taking.getsockname()[1], flush=True)
to = (sys.argv[2], int(sys.argv[3]))
while True:
    data = taking.recv(2000)
    taking.sendto(data[:4] + sys.argv[4].encode() + data[4:], to)
"""
_MARK = b"umbel" * 20
_ETH_P_ALL = 3
_OUTGOING, _GRE = 4, 47
_BUFFER = 64 << 20
_SO_RCVBUFFORCE = 33


@dataclass
class Taker:
    """A process's socket: what came, by number."""

    end: Endpoint
    socket: socket.socket

    def took(self) -> Counter[int]:
        """How often each datagram came since this was asked last."""
        found: Counter[int] = Counter()
        for data in self.read():
            found[struct.unpack_from("!I", data)[0]] += 1
        return found

    def read(self) -> Iterator[bytes]:
        """The datagrams that are there."""
        while True:
            try:
                yield self.socket.recv(2000)
            except BlockingIOError:
                return


@dataclass
class Sender:
    """A process that sends when it is told to."""

    process: subprocess.Popen[str]

    def begin(self) -> None:
        self._say()

    async def end(self) -> int:
        """How many were sent, after the last."""
        assert self.process.stdout is not None
        return int(await asyncio.to_thread(self.process.stdout.readline))

    async def stop(self) -> int:
        """No more; how many were sent."""
        self._say()
        return await self.end()

    def _say(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()


@contextmanager
def taking(bed: Testbed, *nodes: str, host: str = "") -> Iterator[list[Taker]]:
    """A taker at each of these nodes, also several at one; the last at the host, if one is
    named."""

    def bound(address: str) -> socket.socket:
        taker = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        taker.setblocking(False)
        taker.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER)
        taker.bind((address, 0))
        return taker

    at = [(name, bed.nodes[name].namespace, bed.nodes[name].management) for name in nodes]
    if host:
        at.append((host, bed.hosts[host].namespace, bed.hosts[host].address))
    takers = []
    try:
        for name, namespace, address in at:
            made = netns.inside(namespace, partial(bound, address))
            end = Endpoint(node=name, address=address, port=made.getsockname()[1])
            takers.append(Taker(end, made))
        yield takers
    finally:
        for taker in takers:
            taker.socket.close()


async def came(taker: Taker, since: int = 0) -> Counter[int]:
    """What it took until something newer than `since` came."""
    found: Counter[int] = Counter()

    async def newer() -> bool:
        found.update(taker.took())
        return max(found, default=0) > since

    await until(newer)
    return found


async def all_of(taker: Taker, count: int) -> list[bytes]:
    """The next so many datagrams, and what came with them."""
    found: list[bytes] = []

    async def enough() -> bool:
        found.extend(taker.read())
        return len(found) >= count

    await until(enough)
    return found


@contextmanager
def sending(
    bed: Testbed, node: str, to: Endpoint, *, rate: float, most: int = -1
) -> Iterator[Sender]:
    """A process of the node or host that sends so many datagrams a second, so many in all or until
    it is told to stop."""
    command = [sys.executable, "-c", _SENDER, to.address, str(to.port), str(rate), str(most)]
    process = subprocess.Popen(
        ["ip", "netns", "exec", bed.place(node).namespace, *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield Sender(process)
    finally:
        process.kill()
        process.communicate()


@contextmanager
def relaying(bed: Testbed, node: str, to: Endpoint, sign: str) -> Iterator[Endpoint]:
    """A function of the node, which takes a stream and sends it on to `to`, signed."""
    here = bed.nodes[node]
    words = [here.management, to.address, str(to.port), sign]
    process = subprocess.Popen(
        ["ip", "netns", "exec", here.namespace, sys.executable, "-c", _RELAY, *words],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        yield Endpoint(node=node, address=here.management, port=port)
    finally:
        process.kill()
        process.communicate()


@dataclass
class Tap:
    """What leaves by one device of a node."""

    way: tuple[str, str]
    socket: socket.socket

    def saw(self) -> tuple[int, int]:
        """How many of the senders' datagrams left by it in GRE since this was asked last, and how
        many otherwise."""
        wrapped = bare = 0
        while True:
            try:
                frame, where = self.socket.recvfrom(4000)
            except BlockingIOError:
                return wrapped, bare
            if where[2] == _OUTGOING and _MARK in frame:
                is_gre = frame[12:14] == b"\x08\x00" and frame[23] == _GRE
                wrapped, bare = wrapped + is_gre, bare + (not is_gre)


@contextmanager
def tapping(bed: Testbed) -> Iterator[list[Tap]]:
    """A tap at each end of each link, and at each node's management device."""

    def bound(device: str) -> socket.socket:
        tap = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
        tap.setblocking(False)
        tap.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER)
        tap.bind((device, 0))
        return tap

    taps = []
    try:
        for name, node in bed.nodes.items():
            for near, device in {**node.site.cables, "": "mgmt0"}.items():
                made = netns.inside(node.namespace, partial(bound, device))
                taps.append(Tap((name, near), made))
        yield taps
    finally:
        for tap in taps:
            tap.socket.close()


async def sent(bed: Testbed, node: str, to: Endpoint, *, rate: float = 500, most: int = 50) -> int:
    """Send them all."""
    with sending(bed, node, to, rate=rate, most=most) as sender:
        sender.begin()
        return await sender.end()
