"""Real Open vSwitch instances, each alone in a network namespace: userspace datapath, no service.

In: a folder of the test's own. Out: bridges with the ports asked for, joined by veth pairs. Every
process is ended by its pid and every namespace deleted, whatever happens.
"""

import os
import shutil
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from support.leftovers import Leftover, noted
from umbel.kit import netns
from umbel.testbed import offload

_SCHEMA = Path("/usr/share/openvswitch/vswitch.ovsschema")
_TOOLS = ("ovsdb-tool", "ovsdb-server", "ovs-vswitchd", "ovs-vsctl", "ovs-ofctl", "ip")


def absent(*besides: str) -> str:
    """Why no switch can run here, or a program is missing besides; empty when all is there."""
    if os.geteuid() != 0:
        return "not root: namespaces and switches cannot be made"
    missing = [tool for tool in _TOOLS if shutil.which(tool) is None]
    if missing or not _SCHEMA.exists():
        what = ", ".join(missing) or _SCHEMA.name
        return f"{what} not installed (openvswitch-switch, iproute2)"
    more = [tool for tool in besides if shutil.which(tool) is None]
    return f"{', '.join(more)} not installed" if more else ""


def run(*command: str, **env: str) -> str:
    """A command's output. Raises AssertionError with what it said when it fails."""
    done = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, **env}, timeout=30, check=False
    )
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
    return done.stdout


@dataclass
class Ovs:
    """One vswitchd with its database, in its own namespace, and a bridge br1."""

    folder: Path
    namespace: str
    protocols: str
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def controller(self) -> Path:
        """The socket where the bridge looks for its controller."""
        return self.folder / "c.sock"

    def vsctl(self, *words: str) -> str:
        """Change or ask the switch's database."""
        return run("ovs-vsctl", "--timeout=20", f"--db=unix:{self.folder}/db.sock", *words)

    def ofctl(self, command: str, *words: str) -> list[str]:
        """What the switch says to its own tool, line by line without the heading."""
        management = f"unix:{self.folder}/br1.mgmt"
        said = run("ovs-ofctl", "-O", self.protocols, command, management, *words)
        return [line.strip() for line in said.splitlines()[1:]]

    @property
    def database(self) -> str:
        """Where its database listens, as an OVSDB target."""
        return f"unix:{self.folder}/db.sock"

    def start(self) -> None:
        """With the bridge br1. Raises AssertionError when it does not come up."""
        self.launch()
        self.vsctl(
            *("add-br", "br1", "--", "set", "bridge", "br1", "datapath_type=netdev"),
            *("fail_mode=secure", f"protocols={self.protocols}"),
        )

    def launch(self) -> None:
        """Without any bridge. Raises AssertionError when it does not come up."""
        run("ovsdb-tool", "create", f"{self.folder}/conf.db", str(_SCHEMA))
        self.begin("ovsdb-server")
        run(
            "ovs-vsctl",
            "--timeout=20",
            "--retry",
            "--no-wait",
            f"--db=unix:{self.folder}/db.sock",
            "init",
        )
        self.begin("ovs-vswitchd")

    def begin(self, program: str) -> None:
        """Start ovsdb-server, on the database there is, or ovs-vswitchd."""
        words = {
            "ovsdb-server": [f"{self.folder}/conf.db", f"--remote=punix:{self.folder}/db.sock"],
            "ovs-vswitchd": [self.database],
        }
        self.processes[program] = self._start(program, *words[program])

    def end(self, program: str) -> None:
        """End one of the two."""
        process = self.processes.pop(program)
        process.terminate()
        process.wait(timeout=60)

    def connect(self, dpid: int) -> None:
        """Look for the controller, now and again."""
        self.vsctl(
            *("set", "bridge", "br1", f"other_config:datapath-id={dpid:016x}"),
            *("other_config:disable-in-band=true", "--"),
            *("set-controller", "br1", f"unix:{self.controller}", "--"),
            *("set", "controller", "br1", "max_backoff=1000"),
        )

    def stop(self) -> None:
        """End its processes."""
        for process in reversed(self.processes.values()):
            process.terminate()
        for process in self.processes.values():
            process.wait(timeout=60)

    def _start(self, program: str, *words: str) -> subprocess.Popen[bytes]:
        folder = str(self.folder)
        command = ["ip", "netns", "exec", self.namespace, program, *words]
        control = f"--unixctl={folder}/{program}.ctl"
        env = {**os.environ, "OVS_RUNDIR": folder, "OVS_LOGDIR": folder, "OVS_DBDIR": folder}
        return subprocess.Popen(
            [*command, control, "-vconsole:off", f"--log-file={folder}/{program}.log"],
            env=env,
            stdin=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )


@contextmanager
def switches(
    folder: Path, protocols: Mapping[str, str], *, bare: bool = False
) -> Iterator[dict[str, Ovs]]:
    """Running switches by name, each speaking the OpenFlow version given, such as OpenFlow14.
    `bare`: without a bridge."""
    with ExitStack() as stack:
        found = {}
        for name, protocol in protocols.items():
            namespace = f"umbel-{os.getpid()}-{name}"
            stack.enter_context(network_namespace(namespace))
            (folder / name).mkdir()
            found[name] = Ovs(folder / name, namespace, protocol)
            stack.callback(found[name].stop)
            if bare:
                found[name].launch()
            else:
                found[name].start()
        yield found


@contextmanager
def network_namespace(name: str) -> Iterator[None]:
    """A network namespace of that name."""
    with noted(Leftover(namespace=name)):
        run("ip", "netns", "add", name)
        try:
            yield
        finally:
            run("ip", "netns", "delete", name)


def join(a: Ovs, port_a: int, b: Ovs, port_b: int) -> None:
    """A cable between two bridges. It goes with the namespaces."""
    names = (f"p{port_a}", f"p{port_b}")
    cable(a.namespace, names[0], b.namespace, names[1])
    for ovs, name, number in ((a, names[0], port_a), (b, names[1], port_b)):
        plug(ovs, name, number)


def cable(a: str, device_a: str, b: str, device_b: str) -> None:
    """A cable between two namespaces, both ends up. It goes with the namespaces."""
    run(
        *("ip", "link", "add", device_a, "netns", a, "type", "veth"),
        *("peer", "name", device_b, "netns", b),
    )
    for namespace, device in ((a, device_a), (b, device_b)):
        run("ip", "-n", namespace, "link", "set", device, "up")
        netns.inside(namespace, partial(offload.tx_checksums_off, device))


def plug(ovs: Ovs, name: str, number: int) -> None:
    """An interface of the namespace becomes a port of the bridge."""
    ovs.vsctl(
        *("add-port", "br1", name, "--"),
        *("set", "interface", name, f"ofport_request={number}"),
    )


_LISTENER = """
import socket, sys
listening = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800))
listening.bind((sys.argv[1], 0))
listening.settimeout(60)
print("ready", flush=True)
for _ in range(int(sys.argv[2])):
    frame = listening.recv(2000)
    mac, address = frame[:6].hex(":"), socket.inet_ntoa(frame[30:34])
    print(mac, address, int.from_bytes(frame[36:38], "big"), frame[15] >> 2, flush=True)
"""
_SENDER = """
import socket, sys
with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sending:
    sending.bind((sys.argv[1], 0))
    sending.send(bytes.fromhex(sys.argv[2]))
"""


@contextmanager
def listening(namespace: str, interface: str, packets: int) -> Iterator[subprocess.Popen[str]]:
    """A process that prints a line for each IPv4 packet which comes to an interface: Ethernet
    address, IP address and UDP port it is for, DSCP. It ends after so many."""
    command = ["ip", "netns", "exec", namespace, sys.executable, "-c", _LISTENER]
    process = subprocess.Popen(
        [*command, interface, str(packets)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def send(namespace: str, interface: str, source: str, target: str, port: int) -> None:
    """One UDP packet out of an interface, to the broadcast Ethernet address."""
    payload = b"umbel"
    ends = socket.inet_aton(source) + socket.inet_aton(target)
    head = struct.pack("!BBHHHBBH", 0x45, 0, 28 + len(payload), 1, 0, 64, 17, 0) + ends
    total = sum(struct.unpack("!10H", head))
    total = (total & 0xFFFF) + (total >> 16)
    head = head[:10] + struct.pack("!H", ~total & 0xFFFF) + head[12:]
    udp = struct.pack("!HHHH", 4000, port, 8 + len(payload), 0) + payload
    frame = b"\xff" * 6 + b"\x02\0\0\0\0\x77" + b"\x08\0" + head + udp
    command = ("ip", "netns", "exec", namespace, sys.executable, "-c", _SENDER)
    run(*command, interface, frame.hex())
