"""Disks of volumes on a hypervisor: plain files of its storage pool. Functions on a connection's
thread: values in, values out."""

import threading
from collections.abc import Mapping
from xml.etree import ElementTree as ET

import libvirt

from umbel.compute.drivers.libvirt import disk_xml, domains, storage
from umbel.compute.drivers.libvirt.storage import PoolFolder
from umbel.compute.hypervisors.model import HypervisorFailed, NoSuchGuest
from umbel.compute.volumes.model import (
    DiskNotReleased,
    NoSuchDisk,
    VolumeAttached,
    check_attachable,
)

_MIB = 2**20
_LOOK_EVERY_S = 0.1
_ALL = libvirt.VIR_DOMAIN_AFFECT_LIVE | libvirt.VIR_DOMAIN_AFFECT_CONFIG


def create(connection: "libvirt.virConnect", at: PoolFolder, disk: str, size_mb: int) -> None:
    """An empty disk that has all its blocks. Raises StorageFull."""
    name = disk_xml.file_name(disk)
    if storage.has(connection, at, name):
        return
    ours = storage.pool(connection, at)
    try:
        ours.createXML(disk_xml.allocated(name, size_mb * _MIB))
    except libvirt.libvirtError as error:
        raise storage.refused(error, f"{size_mb} MiB") from error


def copy(
    connection: "libvirt.virConnect", at: PoolFolder, disk: str, to: str, within_s: float
) -> None:
    """Another disk with what the first one holds now. Raises NoSuchDisk, StorageFull."""
    ours = storage.pool(connection, at)
    source = _volume(connection, at, disk)
    name = disk_xml.file_name(to)
    storage.take_away(connection, at, name)
    guest = _guest_of(connection, disk)
    xml = disk_xml.allocated(name, source.info()[1])
    try:
        if guest is None:
            ours.createXMLFrom(xml, source)
        else:
            _back_up(guest, disk, ours.createXML(xml).path(), within_s)
    except libvirt.libvirtError as error:
        storage.take_away(connection, at, name)
        raise storage.refused(error, f"{source.info()[1] // _MIB} MiB") from error
    except HypervisorFailed:
        storage.take_away(connection, at, name)
        raise


def remove(connection: "libvirt.virConnect", at: PoolFolder, disk: str) -> None:
    """The disk is gone. Raises VolumeAttached."""
    if (guest := _guest_of(connection, disk)) is not None:
        raise VolumeAttached(f"{disk} is attached to {guest.name()}", disk=disk)
    storage.take_away(connection, at, disk_xml.file_name(disk))


def attached(connection: "libvirt.virConnect") -> dict[str, str]:
    """The functions whose guests have disks, by disk."""
    running = connection.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE)
    found: dict[str, str] = {}
    for domain in running:
        guest = domains.guest_in(domain)
        if guest is not None:
            found |= dict.fromkeys(_devices(domain), guest.id)
    return found


def attach(connection: "libvirt.virConnect", at: PoolFolder, disk: str, function_id: str) -> None:
    """Give the guest the disk. Raises NoSuchDisk, NoSuchGuest, TooManyVolumes,
    GuestHasSnapshots."""
    volume = _volume(connection, at, disk)
    guest = _running(connection, function_id)
    if guest is None:
        raise NoSuchGuest(f"No guest runs {function_id}", function=function_id)
    having = _devices(guest)
    if disk in having:
        return
    check_attachable(function_id, list(having), guest.snapshotNum())
    target = disk_xml.unused_target(having)
    guest.attachDeviceFlags(disk_xml.device(disk, volume.path(), target), _ALL)


def detach(connection: "libvirt.virConnect", disk: str, function_id: str, within_s: float) -> None:
    """Ask the guest to release the disk, and wait until it has. Raises DiskNotReleased."""
    guest = _running(connection, function_id)
    element = _devices(guest).get(disk) if guest is not None else None
    if guest is None or element is None:
        return
    try:
        guest.detachDeviceFlags(ET.tostring(element, encoding="unicode"), _ALL)
    except libvirt.libvirtError as error:
        if disk not in _devices(guest) or error.get_error_code() not in _BEING_DONE:
            raise
    waiting = threading.Event()
    for _ in range(round(within_s / _LOOK_EVERY_S)):
        if disk not in _devices(guest):
            return
        waiting.wait(_LOOK_EVERY_S)
    message = (
        f"{function_id} did not release the disk within {within_s:g} s: it may be mounted there, "
        "or the guest is suspended. It is asked again when you detach it again"
    )
    raise DiskNotReleased(message, function=function_id)


_BEING_DONE = frozenset({libvirt.VIR_ERR_INTERNAL_ERROR, libvirt.VIR_ERR_OPERATION_FAILED})
"""What libvirt says where the guest was asked to release the disk already."""


def _volume(connection: "libvirt.virConnect", at: PoolFolder, disk: str) -> "libvirt.virStorageVol":
    name = disk_xml.file_name(disk)
    if not storage.has(connection, at, name):
        raise NoSuchDisk(f"There is no disk {disk}", disk=disk)
    return storage.pool(connection, at).storageVolLookupByName(name)


def _running(connection: "libvirt.virConnect", function_id: str) -> "libvirt.virDomain | None":
    domain = domains.find(connection, function_id)
    return domain if domain is not None and domain.isActive() else None


def _guest_of(connection: "libvirt.virConnect", disk: str) -> "libvirt.virDomain | None":
    function_id = attached(connection).get(disk)
    return domains.find(connection, function_id) if function_id is not None else None


def _devices(domain: "libvirt.virDomain") -> Mapping[str, ET.Element]:
    try:
        return disk_xml.devices(domain.XMLDesc())
    except libvirt.libvirtError as error:
        if error.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN:
            raise
        return {}


def _back_up(guest: "libvirt.virDomain", disk: str, path: str, within_s: float) -> None:
    """Copy the disk as it is now to a file that is there, while the guest runs on."""
    having = _devices(guest)
    xml = disk_xml.backup(disk_xml.target(having[disk]), having, path)
    guest.backupBegin(xml, None, libvirt.VIR_DOMAIN_BACKUP_BEGIN_REUSE_EXTERNAL)
    waiting = threading.Event()
    for _ in range(round(within_s / _LOOK_EVERY_S)):
        if guest.jobStats().get("type", 0) == libvirt.VIR_DOMAIN_JOB_NONE:
            done = guest.jobStats(libvirt.VIR_DOMAIN_JOB_STATS_COMPLETED)
            if not done.get(libvirt.VIR_DOMAIN_JOB_SUCCESS, 0):
                reason = done.get(libvirt.VIR_DOMAIN_JOB_ERRMSG, "no reason was given")
                raise HypervisorFailed(f"The disk was not copied: {reason}")
            return
        waiting.wait(_LOOK_EVERY_S)
    guest.abortJob()
    raise HypervisorFailed(f"The disk was not copied within {within_s:g} s")
