"""Which logical unit is a guest's disk, and what is written to it before the guest begins.

A guest is given one out of its hypervisor's own range, as with addresses, and keeps it when it is
moved. The control plane writes the image to it by qemu-img, through the network.
"""

import os
import subprocess
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from umbel.compute.drivers.libvirt.guest import GuestRecord
from umbel.compute.hypervisors import iscsi
from umbel.compute.hypervisors.iscsi import Lun
from umbel.compute.hypervisors.model import Hypervisor, HypervisorFailed, NoLunLeft
from umbel.compute.ports import CannotRun


def give(
    guest: GuestRecord, hypervisor: Hypervisor, size: int, others: Iterable[GuestRecord]
) -> GuestRecord:
    """The guest with the first logical unit that none of the others has, if it is to have one; it
    sees `size` bytes of it. Raises NoLunLeft."""
    if not hypervisor.iscsi:
        return guest
    target = iscsi.parse(hypervisor.iscsi)
    known = [one.lun for one in others if one.id != guest.id and one.lun is not None]
    taken = {lun.number for lun in known if target.has(lun)}
    for number in range(target.first, target.last + 1):
        if number not in taken:
            return replace(guest, lun=target.lun(number, size))
    message = (
        f"{hypervisor.name} has no logical unit left: guests have {target.first} to {target.last}"
    )
    raise NoLunLeft(message, node=hypervisor.name)


def are_together(one: Hypervisor, other: Hypervisor) -> bool:
    """Whether guests of both may have logical units of the same target."""
    if not one.iscsi or not other.iscsi:
        return False
    target = iscsi.parse(other.iscsi)
    return iscsi.parse(one.iscsi).has(target.lun(target.first))


def reaches(hypervisor: Hypervisor, lun: Lun) -> bool:
    """Whether the hypervisor's guests have their disks at the same target."""
    return bool(hypervisor.iscsi) and iscsi.parse(hypervisor.iscsi).has(lun)


def write(image: Path, lun: Lun, within_s: float) -> None:
    """Have the image on the logical unit, all of it. Raises CannotRun, HypervisorFailed."""
    _run(["convert", "-n", "-f", "raw", "-O", "raw", str(image), lun.url], lun, within_s)


def check(lun: Lun, within_s: float) -> None:
    """Raise CannotRun or HypervisorFailed where the logical unit is not reached from here."""
    _run(["info", "-f", "raw", lun.url], lun, within_s)


def _run(words: list[str], lun: Lun, within_s: float) -> None:
    environment, program = {**os.environ, "LC_ALL": "C"}, "qemu-img"
    try:
        done = subprocess.run(
            [program, *words],
            capture_output=True,
            timeout=within_s,
            check=False,
            env=environment,
        )
    except FileNotFoundError:
        message = "qemu-img is not installed: packages qemu-utils and qemu-block-extra"
        raise CannotRun(message) from None
    except subprocess.TimeoutExpired:
        raise HypervisorFailed(f"{lun.url} did not answer within {within_s:g} s") from None
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip()[-300:]
        raise HypervisorFailed(f"{lun.url} cannot be used: {said}")
