"""Copies of running guests, in libvirt's words. Functions on a connection's thread.

The control plane has a connection to both hypervisors and carries each phase out (libvirt calls
this a managed direct migration). So hypervisors need no access to each other's libvirt, and a copy
ends with the control plane that made it.
"""

import json
from contextlib import suppress
from dataclasses import dataclass

import libvirt
import libvirt_qemu

from umbel.compute.drivers.libvirt import domain_xml
from umbel.compute.drivers.libvirt.domain_copy import at_target
from umbel.compute.drivers.libvirt.guest import GuestRecord
from umbel.compute.hypervisors.model import Hypervisor
from umbel.compute.model import MoveProgress, MoveResult
from umbel.kit import hosts

_MIB = 2**20
_ALWAYS = (
    libvirt.VIR_MIGRATE_PERSIST_DEST
    | libvirt.VIR_MIGRATE_UNDEFINE_SOURCE
    | libvirt.VIR_MIGRATE_ABORT_ON_ERROR
)
_LIVE = (
    libvirt.VIR_MIGRATE_LIVE
    | libvirt.VIR_MIGRATE_AUTO_CONVERGE  # one that writes too fast is slowed down
)
_SHORT_GAP_MS, _LONG_GAP_MS = 50, 300
"""For how long the guest may stop at first, and at last: QEMU's own limit."""
_SHORT_ROUNDS = 4
_EXACT = libvirt.VIR_DOMAIN_XML_MIGRATABLE | libvirt.VIR_DOMAIN_XML_SECURE


@dataclass(frozen=True, kw_only=True)
class Transfer:
    """What is copied where: without shared storage the disk's own blocks, too, but none of its
    image's. The guest runs in the meantime where it `is_live`, else it stops."""

    guest: GuestRecord
    target: Hypervisor
    is_shared: bool
    is_plain: bool
    is_live: bool


def copy(
    source: "libvirt.virConnect", target: "libvirt.virConnect", transfer: Transfer
) -> MoveResult:
    """Copy a running guest; returns once it runs at the target. Where it raises, or its connections
    end, the guest runs on at the source."""
    domain = source.lookupByName(transfer.guest.domain)
    guest, there = transfer.guest, transfer.target
    flags = _ALWAYS
    parameters: dict[str, str | list[str]] = {
        libvirt.VIR_MIGRATE_PARAM_DEST_XML: at_target(domain.XMLDesc(_EXACT), guest, there),
        libvirt.VIR_MIGRATE_PARAM_PERSIST_XML: at_target(
            domain.XMLDesc(_EXACT | libvirt.VIR_DOMAIN_XML_INACTIVE), guest, there
        ),
    }
    if there.copies.address:
        parameters[libvirt.VIR_MIGRATE_PARAM_URI] = f"tcp://{hosts.in_url(there.copies.address)}"
    if transfer.is_live:
        domain.migrateSetMaxDowntime(_SHORT_GAP_MS, 0)
        flags |= _LIVE
    if not transfer.is_plain:
        flags |= libvirt.VIR_MIGRATE_TLS
    if transfer.is_shared:
        # libvirt knows no file system of this kind as shared; that it is, was tried.
        flags |= libvirt.VIR_MIGRATE_UNSAFE
    else:
        flags |= libvirt.VIR_MIGRATE_NON_SHARED_INC
        parameters[libvirt.VIR_MIGRATE_PARAM_MIGRATE_DISKS] = [domain_xml.ROOT]
    moved = domain.migrate3(target, parameters, flags)
    done = moved.jobStats(libvirt.VIR_DOMAIN_JOB_STATS_COMPLETED)
    return MoveResult(
        copied_mb=done.get(libvirt.VIR_DOMAIN_JOB_MEMORY_PROCESSED, 0) / _MIB,
        gap_s=done.get(libvirt.VIR_DOMAIN_JOB_DOWNTIME, 0) / 1000,
    )


def abort(source: "libvirt.virConnect", guest: GuestRecord) -> None:
    """End a copy that is under way; libvirt raises where there is none. What is sent by now is
    given up first: over a link that is cut, QEMU would wait for it, and so would the guest."""
    domain = source.lookupByName(guest.domain)
    with suppress(libvirt.libvirtError):  # its connections have ended just now
        _give_up_sockets(domain)
    domain.abortJob()


def _give_up_sockets(domain: "libvirt.virDomain") -> None:
    """Of the copy of memory, and of those of disks; others are those of libvirt itself."""
    found = json.loads(_monitor(domain, {"execute": "query-yank"})).get("return", [])
    ours = [one for one in found if one.get("type") in {"migration", "block-node"}]
    if ours:
        _monitor(domain, {"execute": "yank", "arguments": {"instances": ours}})


def _monitor(domain: "libvirt.virDomain", command: object) -> str:
    return str(libvirt_qemu.qemuMonitorCommand(domain, json.dumps(command), 0))


def look(source: "libvirt.virConnect", guest: GuestRecord) -> MoveProgress | None:
    """How far the copy is; None where none is under way, or nothing has been copied yet. The more
    rounds it has made, the longer the guest may stop for the last one."""
    domain = source.lookupByName(guest.domain)
    job = domain.jobStats()
    done = job.get(libvirt.VIR_DOMAIN_JOB_DATA_PROCESSED, 0)
    if not done:
        return None
    rounds = job.get(libvirt.VIR_DOMAIN_JOB_MEMORY_ITERATION, 0)
    if rounds > _SHORT_ROUNDS:
        domain.migrateSetMaxDowntime(min(_LONG_GAP_MS, _SHORT_GAP_MS * rounds // _SHORT_ROUNDS), 0)
    per_s = sum(
        job.get(name, 0)
        for name in (libvirt.VIR_DOMAIN_JOB_MEMORY_BPS, libvirt.VIR_DOMAIN_JOB_DISK_BPS)
    )
    page = job.get(libvirt.VIR_DOMAIN_JOB_MEMORY_PAGE_SIZE, 0)
    return MoveProgress(
        copied_mb=done / _MIB,
        total_mb=(done + job.get(libvirt.VIR_DOMAIN_JOB_DATA_REMAINING, 0)) / _MIB,
        disk_mb=job.get(libvirt.VIR_DOMAIN_JOB_DISK_PROCESSED, 0) / _MIB,
        mbps=per_s * 8 / 1e6,
        dirty_mbps=job.get(libvirt.VIR_DOMAIN_JOB_MEMORY_DIRTY_RATE, 0) * page * 8 / 1e6,
    )
