"""Disks of volumes in libvirt's words: as files of a storage pool, and as devices of a domain.
Pure."""

import re
from collections.abc import Mapping
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape, quoteattr

from umbel.compute.drivers.libvirt.domain_xml import ROOT, SEED
from umbel.compute.volumes.model import MOST_AT_A_GUEST

TARGETS = tuple(f"vd{letter}" for letter in "cdefghijklmnopqr"[:MOST_AT_A_GUEST])
"""What a guest's volumes are called in its domain; the guest may call them otherwise."""
_FILE = re.compile(r"volume\.([a-z0-9_]{1,64})\.raw")


def file_name(disk: str) -> str:
    """The name of a disk's file in the storage pool."""
    return f"volume.{disk}.raw"


def disk_of(path: str) -> str:
    """The disk whose file this is; empty where it is none."""
    found = _FILE.fullmatch(path.rpartition("/")[2])
    return found[1] if found else ""


def allocated(name: str, size: int) -> str:
    """A plain file of that many bytes, which has all its blocks: it never grows."""
    return (
        f"<volume><name>{escape(name)}</name><capacity unit='bytes'>{size}</capacity>"
        f"<allocation unit='bytes'>{size}</allocation>"
        "<target><format type='raw'/><permissions><mode>0600</mode></permissions></target></volume>"
    )


def device(disk: str, path: str, target: str) -> str:
    """A guest's disk. Its content is never taken for another format, whatever a guest wrote."""
    return (
        "<disk type='file' device='disk'><driver name='qemu' type='raw'/>"
        f"<source file={quoteattr(path)}/><target dev='{target}' bus='virtio'/>"
        f"<serial>{escape(serial(disk))}</serial></disk>"
    )


def serial(disk: str) -> str:
    """By which a guest knows the disk: /dev/disk/by-id/virtio-SERIAL. It has 20 characters at
    most."""
    return disk[:20]


def devices(domain: str) -> Mapping[str, ET.Element]:
    """A domain's devices that are disks of volumes, by disk."""
    return devices_of(ET.fromstring(domain))  # noqa: S314 -- libvirt's text


def devices_of(domain: ET.Element) -> Mapping[str, ET.Element]:
    """The same of a domain that was parsed."""
    found = {}
    for element in domain.findall("devices/disk"):
        source = element.find("source")
        disk = disk_of(source.get("file", "")) if source is not None else ""
        if disk:
            found[disk] = element
    return found


def target(element: ET.Element) -> str:
    """What a device is called in its domain."""
    found = element.find("target")
    return found.get("dev", "") if found is not None else ""


def unused_target(attached: Mapping[str, ET.Element]) -> str:
    """What another device may be called. check_attachable sees to it that one is unused."""
    used = {target(element) for element in attached.values()}
    return next(name for name in TARGETS if name not in used)


def backup(disk_target: str, others: Mapping[str, ET.Element], path: str) -> str:
    """A copy of one of a running guest's disks, as it is when the copy begins, to a file that is
    there."""
    left_out = {ROOT, SEED, *(target(one) for one in others.values())} - {disk_target}
    unchanged = "".join(f"<disk name='{name}' backup='no'/>" for name in sorted(left_out))
    return (
        "<domainbackup mode='push'><disks>"
        f"<disk name='{disk_target}' backup='yes' type='file'><driver type='raw'/>"
        f"<target file={quoteattr(path)}/></disk>{unchanged}</disks></domainbackup>"
    )
