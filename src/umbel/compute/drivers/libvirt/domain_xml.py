"""The words of libvirt: domains, volumes and storage pools as XML, made of values, and a guest read
out of its domain. Pure."""

import re
from dataclasses import dataclass
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape, quoteattr

from umbel.compute.drivers.libvirt.guest import GuestRecord, parse, serialize
from umbel.compute.hypervisors.model import Accelerator, GuestNetwork, Hypervisor
from umbel.compute.images.model import PARTS
from umbel.compute.model import Snapshot
from umbel.compute.volumes.model import MOST_AT_A_GUEST

NAMESPACE = "https://umbel.invalid/guest/1"
"""The XML namespace of what is kept in a domain; it names nothing that could be fetched."""
STORAGE_POOL = "umbel"

AGENT = "org.qemu.guest_agent.0"
ROOT, SEED = "vda", "vdb"
"""The guest's disk and its seed."""
_OFF = "csum='off' tso4='off' tso6='off' ecn='off' ufo='off'"
_SWITCH_PORT = (
    "<virtualport type='openvswitch'/><mtu size='1400'/>"
    f"<driver><host {_OFF} gso='off'/><guest {_OFF}/></driver>"
)
"""A port of Open vSwitch. A switch in user space sends what a guest left to its device as it is, so
checksums would be wrong; 1400 bytes fit into a tunnel."""
COMPLETE = "complete"
"""The volume that says that all of an image was copied."""
_IMAGE = re.compile(rf"([a-z][a-z0-9-]*-[0-9a-f]{{16}})\.({'|'.join((*PARTS, COMPLETE))})")

_OWN_DEVICES = 5
"""A guest's disk, its seed, its network device, its agent's port and its source of entropy."""
_PORTS = "<controller type='pci' index='0' model='pcie-root'/>" + (
    "<controller type='pci' model='pcie-root-port'/>" * (_OWN_DEVICES + MOST_AT_A_GUEST)
)
"""Each device is in a port of its own, and one can be added to a running guest only where a port
is empty."""
_OURS = re.compile(
    r"guest\..+\.(disk|seed|console(\.[0-9]+)?)"
    r"|volume\.[a-z0-9_]{1,64}\.raw"
    rf"|[a-z][a-z0-9-]*-[0-9a-f]{{16}}\.({'|'.join((*PARTS, COMPLETE))})"
    r"|umbel\.[0-9a-f]+\.owner"
)


@dataclass(frozen=True, kw_only=True)
class Files:
    """Where a guest's files are on its hypervisor."""

    folder: str
    guest: str
    image: str

    @property
    def kernel(self) -> str:
        return f"{self.folder}/{self.image}.kernel"

    @property
    def initrd(self) -> str:
        return f"{self.folder}/{self.image}.initrd"

    @property
    def base(self) -> str:
        return f"{self.folder}/{self.image}.disk"

    @property
    def disk(self) -> str:
        return f"{self.folder}/{volume(self.guest, 'disk')}"

    @property
    def seed(self) -> str:
        return f"{self.folder}/{volume(self.guest, 'seed')}"

    @property
    def console(self) -> str:
        return f"{self.folder}/{volume(self.guest, 'console')}"


def files(guest: GuestRecord, hypervisor: Hypervisor) -> Files:
    """Where the guest's files are."""
    return Files(folder=hypervisor.folder, guest=guest.id, image=guest.image)


def volume(function_id: str, kind: str) -> str:
    """The name of a guest's volume: its disk, seed or console. No image's name has a dot before
    its last word, or begins like this."""
    return f"guest.{function_id}.{kind}"


def is_console(name: str, function_id: str) -> bool:
    """Whether a volume holds what the guest said: libvirt's log daemon moves what is old to files
    with a number."""
    current = re.escape(volume(function_id, "console"))
    return re.fullmatch(rf"{current}(\.[0-9]+)?", name) is not None


def image_part(name: str) -> tuple[str, str]:
    """The image and the part that a volume holds; empty where it is none of an image."""
    found = _IMAGE.fullmatch(name)
    return (found[1], found[2]) if found else ("", "")


def guest_disk(name: str) -> str:
    """The function whose guest's disk a volume is; empty where it is none."""
    found = re.fullmatch(r"guest\.(.+)\.disk", name)
    return found[1] if found else ""


def based_on(volume: str) -> str:
    """The image that a guest's disk is based on."""
    path = ET.fromstring(volume).findtext("backingStore/path", "")  # noqa: S314 -- as above
    return image_part(path.rpartition("/")[2])[0]


def is_kept(name: str) -> bool:
    """Whether a volume of ours has a guest's or a function's data."""
    return name.startswith(("guest.", "volume."))


def is_ours(name: str) -> bool:
    """Whether a volume is an image's, a guest's or a mark; the folder may hold files of others."""
    return _OURS.fullmatch(name) is not None


def mark(installation: str) -> str:
    """The name of the volume that says whose the storage pool is."""
    return f"umbel.{installation}.owner"


def is_mark(name: str) -> bool:
    """Whether a volume says whose the storage pool is."""
    return is_ours(name) and name.endswith(".owner")


def domain(guest: GuestRecord, hypervisor: Hypervisor, *, is_filtered: bool = False) -> str:
    """The domain of a guest; its network filter has the domain's name."""
    its = files(guest, hypervisor)
    filtered = f"<filterref filter={quoteattr(guest.domain)}/>" if is_filtered else ""
    return f"""<domain type={quoteattr(hypervisor.accelerator.value)}>
  <name>{escape(guest.domain)}</name>
  <uuid>{guest.uuid}</uuid>
  <metadata>{_kept(guest)}</metadata>
  <memory unit='MiB'>{guest.memory_mb}</memory>
  <vcpu>{guest.vcpus}</vcpu>
  <os>
    <type arch='x86_64' machine='q35'>hvm</type>
    <kernel>{escape(its.kernel)}</kernel>
    <initrd>{escape(its.initrd)}</initrd>
    <cmdline>console=ttyS0 quiet panic=-1 tsc=reliable</cmdline>
  </os>
  <features><acpi/><apic/></features>
  {_cpu(hypervisor.accelerator)}
  <on_poweroff>destroy</on_poweroff>
  <on_reboot>destroy</on_reboot>
  <on_crash>destroy</on_crash>
  <devices>
    {_root(guest, its)}
    <disk type='file' device='disk'>
      <driver name='qemu' type='raw'/>
      <source file={quoteattr(its.seed)}/>
      <target dev='{SEED}' bus='virtio'/>
      <readonly/>
    </disk>
    {_interface(guest.mac, hypervisor.network, filtered)}
    <serial type='file'><source path={quoteattr(its.console)} append='on'/></serial>
    <channel type='unix'><target type='virtio' name='{AGENT}'/></channel>
    <rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>
    <controller type='usb' model='none'/>
    {_PORTS}
    <memballoon model='none'/>
  </devices>
</domain>"""


def _root(guest: GuestRecord, its: Files) -> str:
    """The guest's disk: a file, or as much of a logical unit as its image has. QEMU reaches that by
    itself, under a name that belongs to the guest."""
    if guest.lun is None:
        return (
            "<disk type='file' device='disk'><driver name='qemu' type='qcow2' discard='unmap'/>"
            f"<source file={quoteattr(its.disk)}/><target dev='{ROOT}' bus='virtio'/></disk>"
        )
    lun, initiator = guest.lun, f"iqn.2026-11.invalid.umbel:{guest.uuid}"
    return (
        "<disk type='network' device='disk'><driver name='qemu' type='raw' cache='none'/>"
        f"<source protocol='iscsi' name={quoteattr(f'{lun.iqn}/{lun.number}')}>"
        f"<host name={quoteattr(lun.host.strip('[]'))} port='{lun.port}'/>"
        f"<slices><slice type='storage' offset='0' size='{lun.size}'/></slices>"
        f"<initiator><iqn name='{initiator}'/></initiator></source>"
        f"<target dev='{ROOT}' bus='virtio'/></disk>"
    )


def probe_domain(name: str, hypervisor: Hypervisor, image: str, accelerator: Accelerator) -> str:
    """A guest on the bridge that switches itself off as soon as it has booted."""
    its = Files(folder=hypervisor.folder, guest="", image=image)
    return f"""<domain type={quoteattr(accelerator.value)}>
  <name>{escape(name)}</name>
  <memory unit='MiB'>128</memory>
  <vcpu>1</vcpu>
  <os>
    <type arch='x86_64' machine='q35'>hvm</type>
    <kernel>{escape(its.kernel)}</kernel>
    <initrd>{escape(its.initrd)}</initrd>
    <cmdline>umbel.probe quiet panic=-1</cmdline>
  </os>
  <features><acpi/><apic/></features>
  {_cpu(accelerator)}
  <on_poweroff>destroy</on_poweroff>
  <on_reboot>destroy</on_reboot>
  <on_crash>destroy</on_crash>
  <devices>
    {_interface("", hypervisor.network)}
    <controller type='usb' model='none'/>
    <memballoon model='none'/>
  </devices>
</domain>"""


def guest_element(guest: GuestRecord) -> str:
    """The guest as libvirt takes it for a domain that is there: it adds the namespace itself."""
    return f"<guest>{escape(serialize(guest))}</guest>"


def guest_of(element: str) -> GuestRecord | None:
    """The guest in such an element; None where there is none, or not one of ours."""
    try:
        return parse(ET.fromstring(element).text or "")  # noqa: S314 -- the hypervisor's own text
    except ET.ParseError:
        return None


def storage_pool(folder: str) -> str:
    """The storage pool of a folder."""
    return (
        f"<pool type='dir'><name>{STORAGE_POOL}</name><target><path>{escape(folder)}</path>"
        "<permissions><mode>0711</mode></permissions></target></pool>"
    )


def pool_folder(xml: str) -> str:
    """The folder of a storage pool."""
    return ET.fromstring(xml).findtext("target/path", "")  # noqa: S314 -- as above


def modified(volume: str) -> str:
    """When a volume was last written to."""
    return ET.fromstring(volume).findtext("target/timestamps/mtime", "")  # noqa: S314 -- as above


def file_volume(name: str, size: int) -> str:
    """A volume that is a plain file of that many bytes."""
    return (
        f"<volume><name>{escape(name)}</name><capacity unit='bytes'>{size}</capacity>"
        "<target><format type='raw'/><permissions><mode>0600</mode></permissions></target></volume>"
    )


def overlay_volume(name: str, base: str, size: int) -> str:
    """A volume that holds what differs from the base, a raw file there."""
    return (
        f"<volume><name>{escape(name)}</name><capacity unit='bytes'>{size}</capacity>"
        "<target><format type='qcow2'/><permissions><mode>0600</mode></permissions></target>"
        f"<backingStore><path>{escape(base)}</path><format type='raw'/></backingStore></volume>"
    )


def snapshot_of(xml: str) -> Snapshot:
    """A snapshot as libvirt describes it."""
    found = ET.fromstring(xml)  # noqa: S314 -- as above
    return Snapshot(
        name=found.findtext("name", ""), taken_s=float(found.findtext("creationTime", "0"))
    )


def snapshot(name: str) -> str:
    """A snapshot of a guest's memory and disk, kept in its disk. The seed never changes."""
    return (
        f"<domainsnapshot><name>{escape(name)}</name><memory snapshot='internal'/>"
        f"<disks><disk name='{ROOT}' snapshot='internal'/>"
        f"<disk name='{SEED}' snapshot='no'/></disks>"
        "</domainsnapshot>"
    )


def _kept(guest: GuestRecord) -> str:
    return f"<umbel:guest xmlns:umbel='{NAMESPACE}'>{escape(serialize(guest))}</umbel:guest>"


def _cpu(accelerator: Accelerator) -> str:
    if accelerator is Accelerator.KVM:
        return "<cpu mode='host-model'/>"
    return "<cpu mode='custom' match='exact'><model>qemu64</model></cpu>"


def _interface(mac: str, network: GuestNetwork, more: str = "") -> str:
    """A device on the bridge; without an address libvirt chooses one."""
    address = f"<mac address='{mac}'/>" if mac else ""
    port = _SWITCH_PORT if network.is_open_vswitch else ""
    return (
        f"<interface type='bridge'>{address}"
        f"<source bridge={quoteattr(network.bridge)}/>{port}{more}<model type='virtio'/>"
        "<rom enabled='no'/></interface>"
    )
