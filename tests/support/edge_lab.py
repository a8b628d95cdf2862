"""Two nodes with real switches, hosts behind them, and servers that say who they are.

In: a folder. Out: nodes pe1 and pe2 with bridges made over OVSDB and programmed by the controller;
h1 and h2 in their access networks; `fn`, a function at home at pe1. Addresses are as in a testbed.
`crossed`: the nodes are in two domains, and the ground between them is nobody's.
"""

import asyncio
import json
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from support import ovs
from support.ovs import Ovs, run
from support.waiting import until
from umbel.kit import netns
from umbel.network.drivers.linux.hosts import NetnsHost
from umbel.network.drivers.linux.wireguard import CrossedBridges
from umbel.network.drivers.openflow.controller import Controller
from umbel.network.drivers.ovsdb.bridges import OvsdbBridges
from umbel.network.drivers.ovsdb.connection import Timeouts
from umbel.network.edge import compiler
from umbel.network.edge.compiler import EdgeState
from umbel.network.model import Link, Topology
from umbel.network.switching.port_map import PortMap
from umbel.network.switching.ports import Bridges
from umbel.network.topology.sites import Site, Tunnel, Wiring

TOPOLOGY = Topology(nodes=("pe1", "pe2"), links=(Link(a="pe1", b="pe2"),))
WEB = "198.51.100.80"
"""A web server beyond pe2, at port 80."""

H1_MAC, FN_MAC, FN = "02:00:00:00:01:0a", "02:00:00:00:01:14", "10.202.1.20"
SERVERS = {
    "portal": ("pe2", "10.97.2.1", 8000),
    "web": ("pe2", WEB, 80),
    "a": ("pe1", "10.97.1.1", 8081),
    "b": ("pe2", "10.97.2.1", 8082),
    "cache": ("fn", FN, 80),
}
_SERVER = """
import sys, threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        body = f"{self.server.name} {self.client_address[0]}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *words): pass
ThreadingHTTPServer.daemon_threads = True
servers = []
for name, address, port in (words.split(",") for words in sys.argv[1:]):
    server = ThreadingHTTPServer((address, int(port)), Handler)
    server.name = name
    servers.append(server)
print("ready", flush=True)
for server in servers[1:]:
    threading.Thread(target=server.serve_forever, daemon=True).start()
servers[0].serve_forever()
"""
_CLIENT = """
import http.client, sys
connection = http.client.HTTPConnection(sys.argv[1], int(sys.argv[2]), timeout=20)
for _ in sys.stdin:
    connection.request("GET", "/")
    print(connection.getresponse().read().decode(), connection.sock.getpeername()[0], flush=True)
"""
_ECHO = """
import socket
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
    server.bind(("0.0.0.0", 7))
    print("ready", flush=True)
    while True:
        said, client = server.recvfrom(2000)
        server.sendto(said, client)
"""
_ASK = """
import socket, sys
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
    client.connect((sys.argv[1], 7))
    client.settimeout(1)
    for _ in range(10):
        client.send(b"are you there")
        try:
            print(client.recv(100).decode(), *client.getpeername())
            break
        except (TimeoutError, ConnectionRefusedError):
            pass
"""


@dataclass
class Bed:
    """What does not change: namespaces by name, switches, sites."""

    spaces: Mapping[str, str]
    switches: Mapping[str, Ovs]
    sites: Mapping[str, Site]


class Talk:
    """A client that keeps one connection open."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def get(self) -> str:
        """Who answered, whom it saw, and who it was for the client; empty when nobody did."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return self._process.stdout.readline().strip()


class Lab:
    """The ground as it is wired and programmed now."""

    def __init__(self, bed: Bed, host: NetnsHost, bridges: Bridges, controller: Controller) -> None:
        self.bed, self.host = bed, host
        self._bridges, self._controller = bridges, controller
        self.port_maps: dict[str, PortMap] = {}

    async def wire(self, **hosts: tuple[str, ...]) -> None:
        """With these devices on the nodes' br0, besides their own hosts'."""
        for node, site in self.bed.sites.items():
            (other,) = site.underlay
            ends = (site.underlay[other], self.bed.sites[other].underlay[node])
            tunnel = Tunnel(neighbour=other, local=ends[0], remote=ends[1], key=7)
            target = f"unix:{self.bed.switches[node].controller}"
            whole = replace(site, hosts=(*site.hosts, *hosts.get(node, ())))
            self.port_maps[node] = await self._bridges.ensure(
                whole, Wiring(controller=target, tunnels=(tunnel,))
            )

    async def connected(self) -> None:
        async def all_there() -> bool:
            return self._controller.switches == {s.datapath_id for s in self.bed.sites.values()}

        await until(all_there, within_s=30)

    async def become(self, state: EdgeState) -> int:
        """How many changes it took."""
        want = compiler.programs(state, self.port_maps)
        return sum(
            [
                await self._controller.ensure(site.datapath_id, want[node], make_first=True)
                for node, site in self.bed.sites.items()
            ]
        )

    def get(self, host: str, address: str, port: int = 80, within_s: float = 10) -> str:
        """What `curl` gets; empty when it gets nothing."""
        command = ["curl", "-s", "-m", str(within_s), f"http://{address}:{port}/"]
        return self._in(host, *command)

    def echo(self, host: str, address: str) -> str:
        """What comes back of a datagram, and from where."""
        return self._in(host, sys.executable, "-c", _ASK, address).strip()

    @contextmanager
    def talking(self, host: str, address: str, port: int = 80) -> Iterator[Talk]:
        """One connection, as long as it lasts."""
        with talking(self.bed.spaces[host], address, port) as talk:
            yield talk

    def plug_function(self, node: str) -> None:
        """The function's only device is on a cable to this node. Its sockets stay open."""
        function, space = self.bed.spaces["fn"], self.bed.spaces[node]
        unplug(function)
        plug(space, "tofn", function, FN_MAC, f"{FN}/24", "10.202.1.1")

    def _in(self, host: str, *command: str) -> str:
        done = subprocess.run(
            ["ip", "netns", "exec", self.bed.spaces[host], *command],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return done.stdout


@contextmanager
def talking(space: str, address: str, port: int = 80) -> Iterator[Talk]:
    """One connection from a namespace, as long as it lasts."""
    with subprocess.Popen(
        _within(space, _CLIENT, address, str(port)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            yield Talk(process)
        finally:
            process.kill()


@contextmanager
def answering(space: str, *there: str) -> Iterator[None]:
    """HTTP servers in a namespace, each as NAME,ADDRESS,PORT."""
    with _running(_within(space, _SERVER, *there)):
        yield


@contextmanager
def bed(folder: Path, *, crossed: bool = False) -> Iterator[Bed]:
    """Namespaces, switches, servers. Everything ends with it."""
    with ExitStack() as stack:
        names = dict.fromkeys(("pe1", "pe2"), "OpenFlow14")
        switches = stack.enter_context(ovs.switches(folder, names, bare=True))
        spaces = {node: switch.namespace for node, switch in switches.items()}
        for name in ("h1", "h2", "fn"):
            spaces[name] = f"{spaces['pe1']}-{name}"
            stack.enter_context(ovs.network_namespace(spaces[name]))
        _nodes(spaces)
        for number, node in enumerate(("pe1", "pe2") if crossed else (), 1):
            run("ip", "-n", spaces[node], "addr", "add", f"192.0.2.{number}/30", "dev", "wire0")
        plug(spaces["pe1"], "toh1", spaces["h1"], H1_MAC, "10.202.1.10/24", "10.202.1.1")
        plug(spaces["pe2"], "toh2", spaces["h2"], "", "10.202.2.10/24", "10.202.2.1")
        for space in ("pe1", "pe2", "fn"):
            there = [
                f"{name},{'' if space == 'fn' else address},{port}"
                for name, (at, address, port) in SERVERS.items()
                if at == space
            ]
            stack.enter_context(answering(spaces[space], *there))
        stack.enter_context(_running(_within(spaces["fn"], _ECHO)))
        sites = {
            node: Site(
                node=node,
                ovsdb=switches[node].database,
                datapath_id=0x756D62000000 + number,
                underlay={other: f"10.201.0.{number}"},
                gateway=f"10.202.{number}.1/24",
                cables={other: "cross0" if crossed else "wire0"},
                hosts=(f"toh{number}",),
                crossings={other: f"192.0.2.{number}:51820"} if crossed else {},
            )
            for number, node, other in ((1, "pe1", "pe2"), (2, "pe2", "pe1"))
        }
        yield Bed(spaces, switches, sites)


@contextmanager
def heard(namespace: str, device: str) -> Iterator[socket.socket]:
    """Whatever passes at a device, as packet(7) tells it."""

    def listening() -> socket.socket:
        made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        made.bind((device, 3))
        made.setblocking(False)
        return made

    tap = netns.inside(namespace, listening)
    with tap:
        yield tap


def packets(tap: socket.socket) -> list[bytes]:
    """The frames that passed since this was asked last."""
    found = []
    while True:
        try:
            found.append(tap.recv(4000))
        except BlockingIOError:
            return found


@contextmanager
def _running(command: Sequence[str]) -> Iterator[None]:
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield
    finally:
        process.kill()
        process.communicate()


def _within(space: str, program: str, *words: str) -> list[str]:
    return ["ip", "netns", "exec", space, sys.executable, "-c", program, *words]


def _nodes(spaces: Mapping[str, str]) -> None:
    """The nodes' link, their management network, and what is beyond pe2."""
    ovs.cable(spaces["pe1"], "wire0", spaces["pe2"], "wire0")
    ovs.cable(spaces["pe1"], "mgmt0", spaces["pe2"], "mgmt0")
    for number, node in enumerate(("pe1", "pe2"), 1):
        other = 3 - number
        for words in (
            "link set lo up",
            f"addr add 10.97.{number}.1/16 dev mgmt0",
            f"route add 10.202.{other}.0/24 via 10.97.{other}.1",
        ):
            run("ip", "-n", spaces[node], *words.split())
        settings = ["net.ipv4.ip_forward=1"]
        settings += [f"net.ipv4.conf.{name}.rp_filter=0" for name in ("all", "default", "mgmt0")]
        settings += ["net.ipv4.conf.all.arp_ignore=1", "net.ipv4.conf.all.arp_announce=2"]
        run("ip", "netns", "exec", spaces[node], "sysctl", "-qw", *settings)
    run("ip", "-n", spaces["pe2"], "addr", "add", f"{WEB}/32", "dev", "lo")
    run("ip", "-n", spaces["pe1"], "route", "add", f"{WEB}/32", "via", "10.97.2.1")


def unplug(host: str) -> None:
    """The host has no cable any more. Its sockets stay open."""
    for device in json.loads(run("ip", "-n", host, "-json", "link", "show")):
        if device["ifname"] == "eth0":
            run("ip", "-n", host, "link", "delete", "eth0")


def plug(node: str, device: str, host: str, mac: str, address: str, gateway: str) -> None:
    """A cable from a node to a host, which has an address and a gateway."""
    ovs.cable(node, device, host, "eth0")
    if mac:
        run("ip", "-n", host, "link", "set", "eth0", "address", mac)
    for words in (
        "link set lo up",
        f"addr add {address} dev eth0",
        f"route add default via {gateway}",
    ):
        run("ip", "-n", host, *words.split())


@dataclass
class Labs:
    """Makes a lab of the ground, and takes it down again."""

    bed: Bed
    master: bytes = b"of a test"

    async def up(self) -> Lab:
        spaces = {node: self.bed.spaces[node] for node in self.bed.sites}
        host = NetnsHost(spaces.get)
        self.bridges = OvsdbBridges(host, patience=Timeouts(first_s=0.05, most_s=0.2))
        self.crossed = CrossedBridges(self.bridges, self.bed.sites, spaces.get, self.master)
        self.controller = Controller(lambda event: None)
        for switch in self.bed.switches.values():
            await self.controller.listen_unix(switch.controller)
        lab = Lab(self.bed, host, self.crossed, self.controller)
        await lab.wire()
        await lab.connected()
        return lab

    async def down(self) -> None:
        await asyncio.gather(self.crossed.close(), self.bridges.close(), self.controller.close())
        for switch in self.bed.switches.values():
            switch.controller.unlink(missing_ok=True)
