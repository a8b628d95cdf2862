"""A testbed for lab tests: namespaces, links, hosts and Open vSwitch daemons, gone afterwards.

    with running(line("a", "b", "c", hosts={"v": "c"}), folder) as bed:
        bed.nodes["a"].site, bed.controller, bed.nodes["a"].run("ip", "address")

`three_nodes` in tests/conftest.py is one for the whole run: a ring a-b-c with a host at each. Skip
with `ABSENT` as the reason. No bridge is there: the ovsdb driver makes them from `node.site`.
"""

import itertools
import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from support.leftovers import Leftover, noted
from umbel.network.model import Topology
from umbel.network.topology import document as topology
from umbel.network.topology.sites import Site
from umbel.network.topology.sites_document import Sites
from umbel.testbed import build, plan, state, teardown
from umbel.testbed.plan import GuestSettings, NodePlan, Plan


def absent() -> str:
    """Why no testbed can run here; empty when one can."""
    if os.geteuid() != 0:
        return "not root: namespaces and switches cannot be made"
    missing = [tool for tool in ("ip", "tc", "ovs-vswitchd") if shutil.which(tool) is None]
    if missing or not build.SCHEMA.exists():
        return "Open vSwitch is not installed (openvswitch-switch)"
    return ""


ABSENT = absent()


@dataclass(frozen=True)
class Place:
    """A namespace of the testbed: a node's or a host's."""

    name: str
    namespace: str
    env: Mapping[str, str]

    def run(self, *command: str, within_s: float = 30.0) -> str:
        """A command's output, run in there. Raises AssertionError with what it said when it
        fails. Open vSwitch's tools find the node's switch: `run("ovs-vsctl", "show")`."""
        done = subprocess.run(
            ["ip", "netns", "exec", self.namespace, *command],
            capture_output=True,
            text=True,
            env=dict(self.env),
            timeout=within_s,
            check=False,
        )
        assert done.returncode == 0, f"{' '.join(command)}: {done.stdout}{done.stderr}"
        return done.stdout

    def popen(self, *command: str) -> subprocess.Popen[str]:
        """A command started in there, its output readable. Who starts it ends it."""
        return subprocess.Popen(
            ["ip", "netns", "exec", self.namespace, *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            env=dict(self.env),
        )


@dataclass(frozen=True)
class Node(Place):
    """A node: its number, its management address (10.K.n.1), its site, and the folder with its
    switch's database, sockets, pid files and logs (`conf.db`, `db.sock`, `ovs-vswitchd.pid`)."""

    number: int
    management: str
    site: Site
    folder: Path
    plan: NodePlan


@dataclass(frozen=True)
class Host(Place):
    """A host: its node, its address in the node's access network, its gateway, its Ethernet
    address, and the node's device that leads to it (in `Site.hosts`)."""

    node: str
    address: str
    gateway: str
    mac: str
    device: str


@dataclass(frozen=True)
class Testbed:
    """A testbed that is up. `controller` is the root namespace's address: controllers listen
    there. `document` is the sites file as a mapping, `sites_file` the file."""

    name: str
    controller: str
    nodes: Mapping[str, Node]
    hosts: Mapping[str, Host]
    sites: Sites
    topology: Topology
    document: Mapping[str, object]
    sites_file: Path
    folder: Path
    plan: Plan

    __test__ = False

    def place(self, name: str) -> Place:
        """A node or a host."""
        return self.nodes.get(name) or self.hosts[name]

    def start(self, node: str, program: str) -> None:
        """Start a node's `ovsdb-server` or `ovs-vswitchd` again after it was killed."""
        build.start_daemon(self.folder, self.nodes[node].plan, program)

    def restore_addresses(self, node: str) -> None:
        """Give ov0 and the links' bridges their addresses again, after their bridges were removed
        and made anew. (They stay when vswitchd restarts.)"""
        build.restore_addresses(self.plan, self.nodes[node].plan)


def line(*nodes: str, hosts: Mapping[str, str] | None = None, mbps: float = 1000) -> object:
    """A network document: nodes in a row; `hosts` by name, each at its node."""
    return drawn(nodes, list(itertools.pairwise(nodes)), hosts=hosts, mbps=mbps)


def ring(*nodes: str, hosts: Mapping[str, str] | None = None, mbps: float = 1000) -> object:
    """A network document: nodes in a ring."""
    links = list(zip(nodes, (*nodes[1:], nodes[0]), strict=True))
    return drawn(nodes, links, hosts=hosts, mbps=mbps)


def drawn(
    nodes: tuple[str, ...],
    links: list[tuple[str, str]],
    *,
    hosts: Mapping[str, str] | None = None,
    mbps: float = 1000,
) -> object:
    """A network document: these nodes and links."""
    return {
        "nodes": [{"name": n, "address": f"127.0.{i}.1"} for i, n in enumerate(nodes, start=1)],
        "links": [{"a": a, "b": b, "mbps": mbps} for a, b in links],
        "hosts": [{"name": name, "node": node} for name, node in (hosts or {}).items()],
    }


@contextmanager
def running(
    document: object, folder: Path, *, guests: GuestSettings = GuestSettings()
) -> Iterator[Testbed]:
    """A testbed of the document, with its files in `folder/NAME`, under a random name."""
    name = f"t{secrets.token_hex(3)}"
    home = folder / name
    with noted(Leftover(testbed=name, folder=str(home))):
        try:
            yield _described(build.up(document, name, folder=home, guests=guests), home)
        finally:
            teardown.down(name, home)


def _described(made: Plan, home: Path) -> Testbed:
    document = plan.document(made)
    nodes = {
        node.name: Node(
            name=node.name,
            namespace=node.namespace,
            env=build.environment(home, node.name),
            number=node.number,
            management=node.management,
            site=node.site,
            folder=home / node.name,
            plan=node,
        )
        for node in made.nodes
    }
    hosts = {
        host.name: Host(
            name=host.name,
            namespace=host.namespace,
            env=dict(os.environ),
            node=host.node,
            address=host.address.partition("/")[0],
            gateway=host.gateway,
            mac=host.mac,
            device=host.device,
        )
        for host in made.hosts
    }
    return Testbed(
        name=made.name,
        controller=made.controller,
        nodes=nodes,
        hosts=hosts,
        sites=plan.sites(made),
        topology=topology.parse(document),
        document=document,
        sites_file=state.sites_file(home),
        folder=home,
        plan=made,
    )
