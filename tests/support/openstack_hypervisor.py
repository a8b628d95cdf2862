"""A hypervisor of an OpenStack lab: Debian's nova-compute, libvirt and QEMU (emulated), and
Neutron's agent, on a machine of their own."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from support import openstack_config as config
from support.openstack_cloud import FILES, OpenStackCloud
from support.openstack_machine import Machine, machine
from umbel.kit import netns

_COMPUTE = ("--config-file", "/etc/nova/nova.conf")
_AGENT = (
    *("--config-file", "/etc/neutron/neutron.conf"),
    *("--config-file", "/etc/neutron/linuxbridge_agent.ini"),
)


@dataclass(kw_only=True)
class RealHypervisor:
    """A hypervisor. `stop` nova-compute, and `start` it again: servers live on meanwhile."""

    machine: Machine

    @property
    def name(self) -> str:
        """What Nova calls it."""
        return self.machine.name

    @property
    def zone(self) -> str:
        """The availability zone that has it alone."""
        return f"zone-{self.name}"

    def start(self) -> None:
        """Run nova-compute."""
        self.machine.run("nova-compute", "nova-compute", *_COMPUTE)

    def join(self, cloud: OpenStackCloud) -> None:
        """Wait until the cloud knows it, and give it its zone."""
        self.machine.until(lambda: cloud.knows(self.name), "nova-compute")
        compute = cloud.admin.compute
        aggregate = compute.create_aggregate(name=self.zone, availability_zone=self.zone)
        compute.add_host_to_aggregate(aggregate, self.name)

    def stop(self) -> None:
        """As kill -9; its servers go on."""
        self.machine.end("nova-compute")

    def pid(self, server_id: str) -> int:
        """The QEMU of the server; 0 while there is none."""
        for pid in netns.pids((self.machine.namespace,)):
            try:
                words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if words[0].endswith(b"qemu-system-x86_64") and server_id.encode() in words:
                return pid
        return 0

    def devices(self) -> list[str]:
        """The servers' network devices."""
        words = ["ip", "-n", self.machine.namespace, "-o", "link", "show", "type", "tun"]
        done = subprocess.run(words, capture_output=True, text=True, timeout=30, check=True)
        return [line.split(": ")[1] for line in done.stdout.splitlines()]


@contextmanager
def hypervisor(cloud: OpenStackCloud, name: str, number: int) -> Iterator[RealHypervisor]:
    """A hypervisor of that name, with the network's address of that number; it is to join."""
    address = f"{cloud.network}.{number}"
    with machine(name, address, cloud.folder, [FILES / "root"], cloud.bridge) as there:
        texts = config.hypervisor(cloud.control.address, address, cloud.password)
        for path, text in texts.items():
            there.write(path, text)
        there.write("/etc/hosts", f"127.0.0.1 localhost\n{address} {name}\n")
        there.run("libvirtd", "libvirtd", "--listen", "--config", "/etc/libvirt/libvirtd.conf")
        there.until(lambda: _answers(there), "libvirtd")
        made = RealHypervisor(machine=there)
        made.start()
        there.run("neutron-agent", "neutron-linuxbridge-agent", *_AGENT)
        yield made


def _answers(there: Machine) -> bool:
    try:
        there.call("virsh", "-c", "qemu:///system", "version")
    except AssertionError:
        return False
    return True
