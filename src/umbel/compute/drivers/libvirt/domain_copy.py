"""A running guest's domain as it is at the hypervisor that it is copied to. Pure.

In: the domain's XML with all that libvirt chose for it, and the target. Out: the same devices at
the same places, with the files, the bridge and the metadata of the target.
"""

from dataclasses import replace
from xml.etree import ElementTree as ET

from umbel.compute.drivers.libvirt import disk_xml, domain_xml
from umbel.compute.drivers.libvirt.guest import GuestRecord, serialize
from umbel.compute.hypervisors.model import GuestNetwork, Hypervisor

ET.register_namespace("umbel", domain_xml.NAMESPACE)


def arrived(guest: GuestRecord, target: Hypervisor) -> GuestRecord:
    """What is kept of the guest at the target: something is left where it came from."""
    left = {guest.node, *guest.left_at} - {target.name}
    return replace(guest, node=target.name, moving_to="", left_at=tuple(sorted(left)))


def at_target(xml: str, guest: GuestRecord, target: Hypervisor) -> str:
    """The domain of a guest, as it is at the target."""
    root = ET.fromstring(xml)  # noqa: S314 -- the hypervisor's own text
    its = domain_xml.files(guest, target)
    kept = root.find(f"metadata/{{{domain_xml.NAMESPACE}}}guest")
    if kept is not None:
        kept.text = serialize(arrived(guest, target))
    _point_to(root, its)
    for disk, element in disk_xml.devices_of(root).items():
        for source in element.findall("source"):
            source.set("file", f"{its.folder}/{disk_xml.file_name(disk)}")
    for interface in root.findall("devices/interface"):
        _connect(interface, target.network)
    return ET.tostring(root, encoding="unicode")


def _point_to(root: ET.Element, its: domain_xml.Files) -> None:
    for path, text in (("os/kernel", its.kernel), ("os/initrd", its.initrd)):
        for element in root.findall(path):
            element.text = text
    for name, file in ((domain_xml.ROOT, its.disk), (domain_xml.SEED, its.seed)):
        for source in root.findall(f"devices/disk/target[@dev='{name}']/../source"):
            if source.get("file") is not None:  # a logical unit stays where it is
                source.set("file", file)
    for kind in ("serial", "console"):
        for source in root.findall(f"devices/{kind}[@type='file']/source"):
            source.set("path", its.console)


def _connect(interface: ET.Element, network: GuestNetwork) -> None:
    source, port = interface.find("source"), interface.find("virtualport")
    if source is not None:
        source.set("bridge", network.bridge)
    if port is None and network.is_open_vswitch:
        ET.SubElement(interface, "virtualport", {"type": "openvswitch"})
    if port is not None and not network.is_open_vswitch:
        interface.remove(port)
