"""Testbeds on this machine: what is there when one is up, and that nothing is when it is down."""

import asyncio
import os
import secrets
import select
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner

from support import ovs, testbed
from support.testbed import Node, Testbed, line, running
from umbel.cli import app
from umbel.kit import netns
from umbel.network.drivers.linux.hosts import NetnsHost
from umbel.network.drivers.ovsdb.bridges import OvsdbBridges
from umbel.network.topology import files, sites_document
from umbel.network.topology.sites import Tunnel, Wiring, cable_bridge
from umbel.testbed import build, inspection, script, state, teardown
from umbel.testbed.build import NameInUse, SetUpFailed

pytestmark = [
    pytest.mark.lab,
    pytest.mark.timeout(120),
    pytest.mark.skipif(bool(testbed.ABSENT), reason=testbed.ABSENT),
]

TWO = line("a", "b", hosts={"h": "b"}, mbps=20)
SLEEP = (sys.executable, "-c", "import signal; signal.pause()")


def traces(name: str, octet: int) -> list[str]:
    """Whatever in this machine has the testbed's name or is one of its processes."""
    found = [
        *netns.named(f"{name}-"),
        *(device.name for device in Path("/sys/class/net").iterdir() if name in device.name),
        *(line for line in ovs.run("ip", "rule").splitlines() if f"10.{octet}.0.1" in line),
    ]
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes()
        except OSError:
            continue
        if f"/{name}/".encode() in words:
            found.append(f"process {path.parent.name}: {words.decode()}")
    return found


def octet_of(up: Testbed) -> int:
    return int(up.controller.split(".")[1])


def pid_of(node: Node, program: str) -> int:
    return int((node.folder / f"{program}.pid").read_text())


def kill(pid: int) -> None:
    handle = os.pidfd_open(pid)
    try:
        signal.pidfd_send_signal(handle, signal.SIGKILL)
        assert select.select([handle], [], [], 60)[0], f"{pid} has not ended"
    finally:
        os.close(handle)


@contextmanager
def listener(address: str) -> Iterator[tuple[int, list[str]]]:
    """A TCP server of this namespace that sends a good deal to who connects: its port, and the
    addresses its clients had."""
    clients: list[str] = []
    with socket.create_server((address, 0)) as server:
        server.settimeout(20)

        def serve() -> None:
            connection, peer = server.accept()
            with connection:
                clients.append(peer[0])
                connection.sendall(b"x" * 200_000)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield server.getsockname()[1], clients
        finally:
            thread.join(timeout=25)


def test_nodes_have_daemons_and_addresses_and_no_bridge(bare_nodes: Testbed) -> None:
    up = bare_nodes
    assert list(up.nodes) == ["a", "b"]
    for number, node in enumerate(up.nodes.values(), start=1):
        assert node.number == number
        assert node.namespace == f"{up.name}-{node.name}"
        assert f"{node.management}/16" in node.run("ip", "-br", "address", "show", "mgmt0")
        database = f"--db={node.site.ovsdb}"
        said = ovs.run("ovs-vsctl", "--timeout=20", database, "get", "O", ".", "datapath_types")
        assert "netdev" in said
        assert node.run("cat", "/proc/sys/net/ipv4/conf/mgmt0/rp_filter").strip() == "0"
        assert node.run("cat", "/proc/sys/net/ipv4/conf/all/arp_ignore").strip() == "1"
        assert node.site.gateway in node.run("ip", "-br", "address", "show", "ov0")
        for neighbour, address in node.site.underlay.items():
            bridge = cable_bridge(neighbour)
            assert f"{address}/30" in node.run("ip", "-br", "address", "show", bridge)
    written = sites_document.parse(files.read(up.sites_file))
    assert written == up.sites
    assert (written.controller, written.namespaces) == (up.controller, up.name)


@pytest.fixture(scope="module")
def bare_nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Testbed]:
    """a - b with a host at b, as they come up; where bridges were, ov0 went with them."""
    with running(TWO, tmp_path_factory.mktemp("bare")) as up:
        yield up


@pytest.fixture(scope="module")
def two_nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Testbed]:
    """a - b with a host at b; it may be wired by the tests, each in the same way."""
    with running(TWO, tmp_path_factory.mktemp("two")) as up:
        for node in up.nodes.values():
            assert "Bridge" not in node.run("ovs-vsctl", "--timeout=20", "show")
        asyncio.run(wire(up))
        yield up


async def wire(up: Testbed) -> None:
    """Bridges and tunnels by the ovsdb driver, and a rule that lets br1 switch by itself."""
    bridges = OvsdbBridges(NetnsHost(up.sites.namespace_of))
    try:
        for site in up.sites.sites:
            tunnels = tuple(
                Tunnel(neighbour=n, local=local, remote=up.sites.of(n).underlay[site.node], key=7)
                for n, local in site.underlay.items()
            )
            await bridges.ensure(site, Wiring(controller="tcp:127.0.0.1:1", tunnels=tunnels))
            words = ("ovs-ofctl", "-O", "OpenFlow14", "add-flow")
            node = up.nodes[site.node]
            node.run(*words, f"unix:{node.folder}/br1.mgmt", "actions=NORMAL")
    finally:
        await bridges.close()


def test_links_are_cables_that_keep_to_their_rate(two_nodes: Testbed) -> None:
    a, b = two_nodes.nodes["a"], two_nodes.nodes["b"]
    assert (a.site.cables, b.site.cables) == ({"b": "link2"}, {"a": "link1"})
    assert (a.site.queues, b.site.queues) == ({"b": "wire2"}, {"a": "wire1"})
    assert b.namespace in a.run("ip", "link", "show", "wire2")
    for node, device in ((a, "wire2"), (b, "wire1")):
        shaped = node.run("tc", "class", "show", "dev", device)
        assert "rate 20Mbit ceil 20Mbit" in shaped
        assert "mtu 1600" in node.run("ip", "link", "show", device)
    counter = f"/sys/class/net/{b.site.cables['a']}/statistics/rx_bytes"
    flood = (
        "import socket, time\n"
        "began = time.monotonic()\n"
        "with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:\n"
        "    while time.monotonic() < began + 0.5:\n"
        "        s.sendto(bytes(1300), ('10.203.0.1', 5004))\n"
    )
    before, began_s = int(b.run("cat", counter)), time.monotonic()
    a.run(sys.executable, "-c", flood)
    sent = int(b.run("cat", counter)) - before
    took_s = time.monotonic() - began_s
    # At most the rate, and the burst and the queue's 50 ms besides; not much less either.
    assert 0.2 < sent * 8 / 20e6 < took_s + 0.1


def test_a_host_reaches_the_front_end_through_its_node_and_keeps_its_address(
    two_nodes: Testbed,
) -> None:
    host = two_nodes.hosts["h"]
    assert (host.node, host.address, host.gateway) == ("b", "10.202.2.10", "10.202.2.1")
    assert two_nodes.nodes["b"].site.hosts == (host.device,) == ("host10",)
    fetch = (
        "import socket, sys\n"
        "with socket.create_connection((sys.argv[1], int(sys.argv[2])), 20) as c:\n"
        "    print(sum(len(part) for part in iter(lambda: c.recv(65536), b'')))\n"
    )
    with listener(two_nodes.controller) as (port, clients):
        got = host.run(sys.executable, "-c", fetch, two_nodes.controller, str(port))
    assert (int(got), clients) == (200_000, [host.address])


def test_streams_of_a_node_leave_by_its_overlay_and_cross_the_link(two_nodes: Testbed) -> None:
    a, b = two_nodes.nodes["a"], two_nodes.nodes["b"]
    send = (
        "import socket, time\n"
        "with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:\n"
        "    while True:\n"
        "        s.sendto(bytes(1300), ('10.203.0.1', 5004)); time.sleep(0.1)\n"
    )
    sender = a.popen(sys.executable, "-c", send)
    try:
        with ovs.listening(b.namespace, "ov0", 1) as heard:
            said, _ = heard.communicate(timeout=60)
    finally:
        sender.kill()
        sender.communicate()
    _, address, port, _ = said.split()
    assert (address, port) == ("10.203.0.1", "5004")


def test_addresses_stay_when_the_switch_restarts_and_come_back_when_it_is_rewired(
    two_nodes: Testbed,
) -> None:
    node = two_nodes.nodes["a"]

    def addresses() -> set[str]:
        shown = node.run("ip", "-o", "-4", "address", "show").splitlines()
        return {line.split()[3] for line in shown if line.split()[1] in ("ov0", bridge)}

    bridge = cable_bridge("b")
    wanted = {"10.202.1.1/24", "10.201.0.1/30"}
    assert addresses() == wanted
    old = pid_of(node, "ovs-vswitchd")
    kill(old)
    two_nodes.start("a", "ovs-vswitchd")
    assert pid_of(node, "ovs-vswitchd") != old
    assert addresses() == wanted
    for name in ("br0", "br1", bridge):
        node.run("ovs-vsctl", "--timeout=20", "del-br", name)
    assert addresses() == set()
    asyncio.run(wire(two_nodes))
    two_nodes.restore_addresses("a")
    assert addresses() == wanted


def test_down_removes_every_trace_of_a_wreck(tmp_path: Path) -> None:
    """Half the processes are dead, one namespace is deleted, the state file is half written."""
    with running(TWO, tmp_path) as up:
        a, b = up.nodes["a"], up.nodes["b"]
        stranger = b.popen(*SLEEP)
        orphan = pid_of(a, "ovsdb-server")
        kill(pid_of(a, "ovs-vswitchd"))
        kill(pid_of(b, "ovsdb-server"))
        ovs.run("ip", "netns", "delete", a.namespace)
        half = (up.folder / "state.json").read_bytes()[:40]
        (up.folder / "state.json").write_bytes(half)
        found = teardown.down(up.name, up.folder)
        assert orphan in found.pids
        assert stranger.wait(timeout=60) != 0
        stranger.communicate()
        assert traces(up.name, octet_of(up)) == []
        assert not up.folder.exists()
        assert not teardown.down(up.name, up.folder).anything


def test_down_needs_no_file_at_all(tmp_path: Path) -> None:
    with running(TWO, tmp_path) as up:
        shutil.rmtree(up.folder)
        teardown.down(up.name, up.folder)
        assert traces(up.name, octet_of(up)) == []


@pytest.mark.parametrize("step", ["namespaces", "hosts", "nodes"])
def test_an_interrupted_set_up_leaves_nothing(tmp_path: Path, step: str) -> None:
    name = f"t{secrets.token_hex(3)}"
    octets: list[int] = []

    def interrupt(at: str, done: int, total: int) -> None:
        octets.append(state.read(tmp_path / name, name).octet or 0)
        if (at, done) == (step, 1):
            assert traces(name, octets[0])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build.up(TWO, name, folder=tmp_path / name, progress=interrupt)
    assert octets[0]
    assert traces(name, octets[0]) == []
    assert not (tmp_path / name).exists()


def test_a_set_up_that_fails_says_why_and_leaves_nothing(tmp_path: Path) -> None:
    name = f"t{secrets.token_hex(3)}"
    (tmp_path / "file").touch()
    with pytest.raises((SetUpFailed, OSError)):
        build.up(TWO, name, folder=tmp_path / "file" / name)
    assert traces(name, 0) == []


def test_two_testbeds_do_not_meet(three_nodes: Testbed, tmp_path: Path) -> None:
    with running(TWO, tmp_path) as other:
        assert other.name != three_nodes.name
        assert other.controller != three_nodes.controller
        for up in (three_nodes, other):
            rows = inspection.rows(up.plan, up.folder)
            assert all(row.good for row in rows)
            assert [row.processes for row in rows if row.switch] == [2] * len(up.nodes)
        assert other.nodes["a"].management not in three_nodes.nodes["a"].run("ip", "address")
        with pytest.raises(NameInUse):
            build.up(TWO, other.name, folder=tmp_path / "elsewhere")
        assert all(row.good for row in inspection.rows(other.plan, other.folder))
    rows = inspection.rows(three_nodes.plan, three_nodes.folder)
    assert all(row.good for row in rows)
    octet = octet_of(three_nodes)
    assert f"lookup {script.table(octet)}" in ovs.run("ip", "rule")


def test_the_command_line(tmp_path: Path) -> None:
    name = f"t{secrets.token_hex(3)}"
    where = ["--name", name, "--dir", str(tmp_path)]
    run = CliRunner().invoke
    try:
        made = run(app, ["testbed", "up", "--topology", "vpm", *where])
        assert made.exit_code == 0, made.output
        assert "5 nodes, 6 links, 3 hosts" in made.output
        again = run(app, ["testbed", "up", *where])
        assert again.exit_code == 2
        assert "umbel.testbed_in_use" in again.output
        assert run(app, ["testbed", "status", *where]).exit_code == 0
        shell = subprocess.run(
            [sys.executable, "-m", "umbel", "testbed", "shell", "platino3", *where],
            input="ip -o -4 address show mgmt0; ovs-vsctl --timeout=20 list-br; exit 3\n",
            capture_output=True,
            text=True,
            timeout=60,
            env={**os.environ, "SHELL": "/bin/sh"},
            check=False,
        )
        assert shell.returncode == 3, shell.stderr
        assert ".3.1/16" in shell.stdout
        nowhere = run(app, ["testbed", "shell", "platino9", *where])
        assert nowhere.exit_code == 2
        assert "platino1, platino2" in nowhere.output
        kill(int((tmp_path / name / "platino4" / "ovsdb-server.pid").read_text()))
        broken = run(app, ["testbed", "status", *where])
        assert broken.exit_code == 1
    finally:
        gone = run(app, ["testbed", "down", *where])
    assert gone.exit_code == 0, gone.output
    assert list(tmp_path.iterdir()) == []
    assert "there is nothing" in run(app, ["testbed", "down", *where]).output
    assert run(app, ["testbed", "status", *where]).exit_code == 2
