"""Mininet's switches and hosts under our controller, hidden from the machine and from each other.

In: a folder of the test's own. Out: the network as Mininet plugged it, and a fabric over it.
Mininet runs by Debian's Python in a network, mount and process namespace of its own, beside an Open
vSwitch in the same network namespace; all of it ends with them.
"""

import asyncio
import json
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from support import ovs
from support.overlay_lab import terms
from support.waiting import until
from umbel.kit.clock import SystemClock
from umbel.network.drivers.openflow.controller import Controller
from umbel.network.drivers.openflow.fabric import OpenFlowFabric
from umbel.network.model import pair
from umbel.network.overlay.spanning import Drawing, Role
from umbel.network.overlay.streams import Path as StreamPath
from umbel.network.overlay.streams import Receiver, Stream, StreamIntent
from umbel.network.switching.port_map import PortMap, Side
from umbel.network.topology.registry import SiteRegistry
from umbel.network.topology.sites import Site, Wiring

_PYTHON = "/usr/bin/python3"  # Debian's, which has Debian's Mininet
_NET = Path(__file__).with_name("mininet_net.py")
_ALONE = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")


def absent() -> str:
    """Why no Mininet can run here; empty when it can."""
    missing = [tool for tool in ("mn", "ping", "ifconfig") if shutil.which(tool) is None]
    packages = "mininet, net-tools, iputils-ping"
    return ovs.absent() or (f"Mininet is not installed ({packages})" if missing else "")


@dataclass(frozen=True)
class Host:
    """A Mininet host."""

    address: str
    mac: str


@dataclass(frozen=True)
class Pings:
    """What everybody's pings to everybody came to: who had all answered by whom, who had some,
    and how many requests came to each."""

    whole: frozenset[tuple[str, str]]
    some: frozenset[tuple[str, str]]
    heard: dict[str, int]


class MininetNet:
    """A running network: hosts h1, h2... at switches s1, s2... in a ring."""

    def __init__(self, process: subprocess.Popen[str], socket: Path) -> None:
        self._process, self.socket = process, socket
        told = self._answer()
        self.hosts = {name: Host(**host) for name, host in told["hosts"].items()}
        self.ids = {name: int(one["dpid"]) for name, one in told["switches"].items()}
        self.ports: dict[str, dict[str, int]] = {
            name: one["ports"] for name, one in told["switches"].items()
        }

    async def ping(self, count: int = 2) -> Pings:
        """Everybody pings everybody so often, all at once."""
        told = await self._ask("ping", count)
        answered = {(a, b): n for a, b, n in told["answered"]}
        return Pings(
            whole=frozenset(way for way, n in answered.items() if n == count),
            some=frozenset(way for way, n in answered.items() if n),
            heard=told["heard"],
        )

    async def control(self) -> None:
        """The switches look for the controller at the socket."""
        await self._ask("control", f"unix:{self.socket}")

    async def link(self, a: str, b: str, state: str) -> None:
        """The cable between two switches is `up` or `down`."""
        await self._ask("link", a, b, state)

    async def _ask(self, *command: object) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        return await asyncio.to_thread(self._answer)

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, f"Mininet ended with {self._process.wait(10)}"
        return json.loads(line)


@contextmanager
def running(folder: Path, size: int) -> Iterator[MininetNet]:
    """A network of so many switches."""
    with ovs.switches(folder, {"mn": "OpenFlow13"}, bare=True) as found:
        switch = found["mn"]
        ovs.run("ip", "-n", switch.namespace, "link", "set", "lo", "up")
        home = str(switch.folder)
        process = subprocess.Popen(
            [
                *("ip", "netns", "exec", switch.namespace, *_ALONE),
                *(_PYTHON, "-I", str(_NET), str(size)),
            ],
            env={**os.environ, "OVS_RUNDIR": home, "OVS_LOGDIR": home, "OVS_DBDIR": home},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            yield MininetNet(process, switch.controller)
            assert process.stdin is not None
            process.stdin.close()
            assert process.wait(timeout=30) == 0
        finally:
            process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout):
                assert stream is not None
                stream.close()


class _Listening(Controller):
    """A controller whose host is a socket of this machine: no address joins it and the network."""

    async def listen(self, host: str, port: int) -> int:
        await self.listen_unix(Path(host))
        return port


class _Plugged:
    """`Bridges` that Mininet made: tunnels are its cables."""

    def __init__(self, net: MininetNet) -> None:
        self._net = net

    async def check(self, site: Site) -> None:
        """They are there."""

    async def ensure(self, site: Site, wiring: Wiring) -> PortMap:
        ports = self._net.ports[site.node]
        tunnel_ports = {t.neighbour: ports[t.neighbour] for t in wiring.tunnels}
        return PortMap(tunnel_ports=tunnel_ports, patch_port=ports[_host(site.node)])

    async def remove(self, site: Site) -> None:
        """It is Mininet's to remove."""


@dataclass
class MininetLab:
    """A fabric over Mininet's switches."""

    net: MininetNet
    fabric: OpenFlowFabric

    async def join(self, a: str, b: str) -> None:
        """Whatever host `a` sends to host `b` gets there."""
        target = self.net.hosts[b]
        stream = Stream(
            name=f"{a}-{b}",
            number=self.fabric.stream(f"{a}-{b}").number,
            target=target.address,
            port=0,
            source=self.net.hosts[a].address,
        )
        intent = StreamIntent(stream=stream, root=_switch(a), sender=Side.OUTSIDE)
        await self.fabric.change(self.fabric.overlay.add_path(intent, self._path(b)))
        assert not self.fabric.problems

    async def part(self, a: str, b: str) -> None:
        """No more."""
        after = self.fabric.overlay.remove_path(f"{a}-{b}", self._path(b))
        await self.fabric.change(after)

    def way(self, a: str, b: str) -> tuple[tuple[str, str], ...]:
        """The cables that packets go by."""
        return self.fabric.overlay.used(f"{a}-{b}")

    async def dead(self, *links: tuple[str, str]) -> None:
        """The fabric knows these cables as dead and no others."""

        async def asked() -> frozenset[tuple[str, str]]:
            return self.fabric.overlay.link_state.dead

        await until(asked, lambda dead: dead == {pair(*link) for link in links}, within_s=30)

    def _path(self, host: str) -> StreamPath:
        there = self.net.hosts[host]
        receiver = Receiver(address=there.address, mac=there.mac)
        return StreamPath(leaf=_switch(host), receiver=receiver)


@asynccontextmanager
async def controlled(net: MininetNet) -> AsyncIterator[MininetLab]:
    """A fabric that has all the switches; nothing is asked of it yet."""
    links = sorted({pair(a, b) for a, ports in net.ports.items() for b in ports if b in net.ids})
    drawing = Drawing(roles=dict.fromkeys(net.ids, Role.LEAF), links=tuple(links))
    sites = {
        node: Site(
            node=node,
            ovsdb="",
            datapath_id=dpid,
            underlay={near: "192.0.2.1" for near in net.ports[node] if near in net.ids},
            gateway="",
        )
        for node, dpid in net.ids.items()
    }
    given = replace(terms(str(net.socket)), settle_s=0.0)
    fabric = OpenFlowFabric(
        SiteRegistry(sites), drawing, _Plugged(net), _Listening, given, SystemClock()
    )
    await fabric.start()
    try:
        await net.control()

        async def all_there() -> bool:
            return fabric.connected() == net.ids.keys()

        await until(all_there, within_s=30)
        yield MininetLab(net, fabric)
    finally:
        await fabric.close()
        net.socket.unlink(missing_ok=True)


def _host(switch: str) -> str:
    return switch.replace("s", "h")


def _switch(host: str) -> str:
    return host.replace("h", "s")
