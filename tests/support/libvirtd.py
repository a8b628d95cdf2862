"""Real hypervisors: a libvirtd of its own in a network namespace of its own, and QEMU below it.

    with segment() as lan, hypervisor("pe1", folder, lan) as real:
        real.hypervisor, real.pid("edge-pe2-1")

It sees none of the machine's own libvirt: its folders, its configuration and its host name are
private. Guests are at a bridge there, in the one network of all hypervisors of a segment. Copies of
guests go over a network of their own, which can be slow or cut.
"""

import json
import os
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from support.leftovers import Leftover, noted
from support.waiting import poll_until, poll_while_running
from umbel.compute.drivers.libvirt import domain_xml
from umbel.compute.drivers.libvirt.guest import domain_name
from umbel.compute.hypervisors.authority import Authority
from umbel.compute.hypervisors.model import CopyAccess, GuestNetwork, Hypervisor
from umbel.kit import netns
from umbel.portal.hypervisor_cli import FILES
from umbel.testbed import hypervisor as launch

_TOOLS = {
    "libvirtd": "libvirt-daemon",
    "qemu-system-x86_64": "qemu-system-x86",
    "xorriso": "xorriso",
}


def absent() -> str:
    """Why no hypervisor can run here; empty when one can."""
    if os.geteuid() != 0:
        return "not root: a hypervisor's namespaces cannot be made"
    missing = [package for tool, package in _TOOLS.items() if _path(tool) is None]
    if find_spec("libvirt") is None:
        missing.append("libvirt-python")
    return f"not installed: {', '.join(missing)}" if missing else ""


def _path(tool: str) -> str | None:
    return shutil.which(tool, path="/usr/sbin:/usr/bin:/sbin:/bin")


ABSENT = absent()


@dataclass(kw_only=True)
class Segment:
    """A network that the root namespace and guests share, and one for copies. `switch` is the
    namespace that joins the hypervisors, `device` is the root namespace's."""

    switch: str
    device: str
    network: str
    hosts: int = 0

    @property
    def address(self) -> str:
        """The root namespace's address."""
        return f"{self.network}.1"

    def join(self, namespace: str) -> tuple[str, str]:
        """Connect a hypervisor; the addresses of its guest and for its copies."""
        self.hosts += 1
        for device, bridge in (("up0", "br0"), ("cp0", "copies")):
            peer = ("peer", "name", f"{device}-{self.hosts}", "netns", self.switch)
            _ip("-n", namespace, "link", "add", device, "type", "veth", *peer)
            _ip("-n", self.switch, "link", "set", f"{device}-{self.hosts}", "master", bridge, "up")
            _ip("-n", namespace, "link", "set", device, "up")
        _ip("-n", namespace, "link", "set", "up0", "master", "br0")
        copies = f"198.18.0.{self.hosts}"
        _ip("-n", namespace, "address", "add", f"{copies}/24", "dev", "cp0")
        return f"{self.network}.{self.hosts + 1}", copies


@dataclass(kw_only=True)
class RealHypervisor:
    """A hypervisor. `start` it again after `stop`: guests live on meanwhile."""

    hypervisor: Hypervisor
    namespace: str
    folder: Path
    segment: Segment
    process: subprocess.Popen[bytes] | None = None

    def start(self, *, takes_tls: bool = False) -> None:
        """Run libvirtd until it answers; over TLS on its port, too, if it `takes_tls`."""
        options = f"--pid-file {self.folder}/libvirtd.pid{' --listen' if takes_tls else ''}"
        with (self.folder / "output").open("ab") as output:
            self.process = subprocess.Popen(
                launch.command(self.folder, self.namespace, options),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=launch.ENVIRONMENT,
            )
        _wait_for(self.folder / "run/libvirt/libvirt-sock", self)

    def stop(self) -> None:
        """As kill -9; its guests go on."""
        if self.process is None:
            return
        self.process.kill()
        self.process.wait()
        self.process = None
        (self.folder / "run/libvirt/libvirt-sock").unlink(missing_ok=True)

    def lose(self) -> None:
        """As if the machine lost its power: libvirtd ends, and so do all guests."""
        self.stop()
        for pid in netns.pids((self.namespace,)):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        _until(lambda: not netns.pids((self.namespace,)), "all processes end")

    def pid(self, function_id: str) -> int:
        """The QEMU of the function's guest."""
        file = self.folder / "run/libvirt/qemu" / f"{domain_name(function_id)}.pid"
        return int(file.read_text())

    @property
    def host_address(self) -> str:
        """The root namespace's address in the guests' network."""
        return self.segment.address

    def has(self, function_id: str) -> bool:
        """Whether QEMU runs the function's guest here."""
        return (self.folder / "run/libvirt/qemu" / f"{domain_name(function_id)}.pid").exists()

    def runs(self, function_id: str) -> bool:
        """Whether QEMU lets the function's guest run here, and not wait for its memory."""
        words = ["virsh", "-c", self.hypervisor.uri, "domstate", domain_name(function_id)]
        done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
        return done.stdout.strip() == "running"

    def guest_files(self) -> list[str]:
        """Files of guests that are there; images do not count."""
        return sorted(path.name for path in Path(self.hypervisor.folder).glob("guest.*"))

    def disown(self, installation: str = "") -> None:
        """It belongs to no other installation."""
        for mark in Path(self.hypervisor.folder).glob("umbel.*.owner"):
            if mark.name != domain_xml.mark(installation):
                mark.unlink()

    def cut_copies(self, *, is_cut: bool = True) -> None:
        """No copy of a guest gets in or out."""
        _ip("-n", self.namespace, "link", "set", "cp0", "down" if is_cut else "up")

    def limit_copies(self, mbps: int) -> None:
        """Copies leave at most at this rate; 0: as fast as they can."""
        words = ["tc", "-n", self.namespace, "qdisc", "replace", "dev", "cp0", "root"]
        tbf = ["tbf", "rate", f"{mbps}mbit", "burst", "256kb", "latency", "100ms"]
        subprocess.run([*words, *(tbf if mbps else ["pfifo"])], check=True, timeout=30)

    def copied_bytes(self) -> int:
        """What has left for other hypervisors, as the device counts it."""
        link = json.loads(_ip("-n", self.namespace, "-j", "-s", "link", "show", "cp0"))
        return int(link[0]["stats64"]["tx"]["bytes"])

    def devices(self) -> list[str]:
        """The guests' network devices."""
        return netns.inside(self.namespace, lambda: _taps(self.namespace))

    def certify(self, authority: Authority | None) -> None:
        """Have a certificate of this authority for its address for copies and its own in the
        guests' network; None: it has none."""
        folder = self.folder / launch.CERTIFICATES
        for file in folder.iterdir():
            file.unlink()
        if authority is not None:
            names = [self.hypervisor.copies.address, self.own_address]
            issued = authority.issue(names, days=1, now_s=time.time())
            for name, part in FILES.items():
                (folder / name).write_text(getattr(issued, part))

    @property
    def own_address(self) -> str:
        """Its own in the guests' network, once it can `reach_host`."""
        own = int(self.hypervisor.network.first.rpartition(".")[2])
        return f"{self.segment.network}.{200 + own}"

    def reach_host(self) -> None:
        """Have an address in the guests' network, by which it reaches the root namespace."""
        device = ("dev", "br0")
        _ip("-n", self.namespace, "address", "replace", f"{self.own_address}/24", *device)

    def filters(self) -> list[str]:
        """The guests' network filters."""
        words = ["virsh", "-q", "-c", self.hypervisor.uri, "nwfilter-list"]
        done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True)
        return [line.split()[1] for line in done.stdout.splitlines() if "umbel-" in line]

    def said(self) -> str:
        """What libvirtd logged."""
        return (self.folder / "output").read_text() + (self.folder / "libvirtd.log").read_text()


def _taps(namespace: str) -> list[str]:
    done = _ip("-n", namespace, "-o", "link", "show", "type", "tun")
    return [line.split(": ")[1] for line in done.splitlines()]


@contextmanager
def more_address(real: RealHypervisor) -> Iterator[str]:
    """One more address of the root namespace in the guests' network."""
    address, device = f"{real.host_address}01", real.segment.device  # .1 and .101
    _ip("address", "add", f"{address}/24", "dev", device)
    try:
        yield address
    finally:
        _ip("address", "del", f"{address}/24", "dev", device)


@contextmanager
def segment() -> Iterator[Segment]:
    """A network for hypervisors."""
    switch = f"ulv-{secrets.token_hex(3)}"
    lan = Segment(switch=switch, device=switch.replace("-", ""), network=_unused_network())
    with noted(Leftover(namespace=switch)):
        try:
            _ip("netns", "add", switch)
            for bridge in ("br0", "copies"):
                _ip("-n", switch, "link", "add", bridge, "type", "bridge")
                _ip("-n", switch, "link", "set", bridge, "up")
            peer = ("peer", "name", "up0-0", "netns", switch)
            _ip("link", "add", lan.device, "type", "veth", *peer)
            _ip("-n", switch, "link", "set", "up0-0", "master", "br0", "up")
            _ip("address", "add", f"{lan.address}/24", "dev", lan.device)
            _ip("link", "set", lan.device, "up")
            yield lan
        finally:
            Leftover(namespace=switch).remove()


@contextmanager
def hypervisor(name: str, folder: Path, lan: Segment) -> Iterator[RealHypervisor]:
    """A hypervisor for the node of that name. Its guests' first address is its node's."""
    namespace = f"ulv-{secrets.token_hex(3)}"
    home = folder / namespace
    with ExitStack() as stack:
        for left in (Leftover(folder=str(home)), Leftover(namespace=namespace)):
            stack.enter_context(noted(left))
            stack.callback(left.remove)
        launch.configure(home, namespace)
        guest, copies = _connect(namespace, lan)
        real = RealHypervisor(
            hypervisor=Hypervisor(
                name=name,
                uri=f"qemu+unix:///system?socket={home}/run/libvirt/libvirt-sock",
                network=GuestNetwork(bridge="br0", first=guest, last=guest, prefix=24),
                folder=f"{home}/guests",
                copies=CopyAccess(address=copies, is_plain=True),
            ),
            namespace=namespace,
            folder=home,
            segment=lan,
        )
        stack.callback(real.stop)
        real.start()
        yield real


def _unused_network() -> str:
    """The first three numbers of a network that no device has an address in."""
    used = _ip("-o", "-4", "address", "show")
    while f" {(network := f'10.217.{secrets.randbelow(256)}')}." in used:
        pass
    return network


def _connect(namespace: str, lan: Segment) -> tuple[str, str]:
    _ip("netns", "add", namespace)
    _ip("-n", namespace, "link", "set", "lo", "up")
    _ip("-n", namespace, "link", "add", "br0", "type", "bridge")
    _ip("-n", namespace, "link", "set", "br0", "up")
    return lan.join(namespace)


def _ip(*words: str) -> str:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, f"ip {' '.join(words)}: {done.stderr}"
    return done.stdout


def _wait_for(socket: Path, real: RealHypervisor) -> None:
    poll_while_running(socket.exists, real.process, said=real.said)


def _until(holds: Callable[[], bool], what: str) -> None:
    poll_until(holds, said=lambda: what)
