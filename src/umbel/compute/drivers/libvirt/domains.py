"""Guests as libvirt's domains. Functions on a connection's thread: values in, values out."""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

import libvirt
import libvirt_qemu

from umbel.compute.attending import Report
from umbel.compute.drivers.libvirt import agent, domain_xml, seed
from umbel.compute.drivers.libvirt.copies import Power, SeenGuest
from umbel.compute.drivers.libvirt.guest import GuestRecord, domain_name
from umbel.compute.guest_start import READY_FILE
from umbel.compute.hypervisors.model import HypervisorFacts
from umbel.compute.model import Snapshot

_STATS = (
    libvirt.VIR_DOMAIN_STATS_STATE
    | libvirt.VIR_DOMAIN_STATS_CPU_TOTAL
    | libvirt.VIR_DOMAIN_STATS_BALLOON
)
_NO_SNAPSHOTS = libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
_ENDED: Mapping[int, str] = {
    libvirt.VIR_DOMAIN_SHUTOFF_SHUTDOWN: "the guest switched itself off",
    libvirt.VIR_DOMAIN_SHUTOFF_DESTROYED: "the guest was switched off",
    libvirt.VIR_DOMAIN_SHUTOFF_CRASHED: "the guest's QEMU was killed or crashed",
    libvirt.VIR_DOMAIN_SHUTOFF_FAILED: "the guest could not be started",
    libvirt.VIR_DOMAIN_SHUTOFF_DAEMON: "the hypervisor lost the guest",
}


def seen(connection: "libvirt.virConnect") -> dict[str, SeenGuest]:
    """Every guest of ours by function, without copies that do not run yet."""
    found = {}
    kept = libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_PERSISTENT
    for domain, stats in connection.getAllDomainStats(_STATS, kept):
        guest = guest_in(domain)
        if guest is not None:
            found[guest.id] = _seen(guest, stats)
    return found


def one_seen(connection: "libvirt.virConnect", function_id: str) -> SeenGuest | None:
    """The function's guest, or its copy that does not run yet; None where there is none."""
    domain = find(connection, function_id)
    guest = guest_in(domain) if domain is not None else None
    if domain is None or guest is None:
        return None
    try:
        state, reason = domain.state()
        found = _seen(guest, {"state.state": state, "state.reason": reason})
        return found if domain.isPersistent() else replace(found, power=Power.ARRIVING)
    except libvirt.libvirtError as error:
        if error.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN:
            raise
        return None


@dataclass(frozen=True, kw_only=True)
class HypervisorUsage:
    """What a hypervisor has, and uses: CPU in seconds since it booted, memory in MiB."""

    cores: int
    memory_mb: float
    cpu_s: float
    memory_used_mb: float


def usage(connection: "libvirt.virConnect") -> HypervisorUsage:
    """What the hypervisor uses."""
    cpu, memory = connection.getCPUStats(-1, 0), connection.getMemoryStats(-1, 0)
    unused_kb = sum(memory.get(kind, 0) for kind in ("free", "buffers", "cached"))
    return HypervisorUsage(
        cores=connection.getInfo()[2],
        memory_mb=memory["total"] / 1024,
        cpu_s=(cpu["kernel"] + cpu["user"]) / 1e9,
        memory_used_mb=(memory["total"] - unused_kb) / 1024,
    )


def facts(connection: "libvirt.virConnect") -> HypervisorFacts:
    """What the hypervisor says of itself."""
    number, info = connection.getLibVersion(), connection.getInfo()
    return HypervisorFacts(
        host_name=connection.getHostname(),
        libvirt=f"{number // 1_000_000}.{number // 1000 % 1000}.{number % 1000}",
        cores=info[2],
        memory_mb=info[1],
    )


def start(connection: "libvirt.virConnect", xml: str) -> None:
    """Define the guest and switch it on."""
    connection.defineXML(xml).create()


def remove(connection: "libvirt.virConnect", function_id: str) -> None:
    """Switch the guest off at once and forget it; not an error if there is none."""
    domain = find(connection, function_id)
    if domain is not None:
        is_kept = domain.isPersistent()
        if domain.isActive():
            domain.destroy()
        if is_kept:
            domain.undefineFlags(_NO_SNAPSHOTS)


def ask_to_end(connection: "libvirt.virConnect", function_id: str) -> bool:
    """Have the guest end by itself; whether it runs and was asked."""
    domain = find(connection, function_id)
    if domain is None or domain.state()[0] != libvirt.VIR_DOMAIN_RUNNING:
        return False
    try:
        domain.shutdownFlags(libvirt.VIR_DOMAIN_SHUTDOWN_GUEST_AGENT)
    except libvirt.libvirtError:  # it has not got as far as to hear of it
        return False
    return True


def give_up(connection: "libvirt.virConnect", function_id: str, reason: str) -> None:
    """Switch the guest off, and keep why."""
    domain = find(connection, function_id)
    guest = guest_in(domain) if domain is not None else None
    if domain is not None and guest is not None:
        _keep(domain, replace(guest, reason=reason, is_ready=False))
        with suppress(libvirt.libvirtError):  # it has ended just now
            domain.destroy()


def keep_ready(
    connection: "libvirt.virConnect", function_id: str, ports: Mapping[str, int]
) -> None:
    """Note in the domain that the function is ready, and on which ports."""
    domain = find(connection, function_id)
    guest = guest_in(domain) if domain is not None else None
    if domain is not None and guest is not None:
        _keep(domain, replace(guest, is_ready=True, ports=ports))


def keep_move(
    connection: "libvirt.virConnect", function_id: str, moving_to: str, left_at: tuple[str, ...]
) -> GuestRecord | None:
    """Note in the domain where the guest is being copied to, and where something of it may be
    left; the guest as it is kept then, None where there is none."""
    domain = find(connection, function_id)
    guest = guest_in(domain) if domain is not None else None
    if domain is None or guest is None:
        return None
    after = replace(guest, moving_to=moving_to, left_at=left_at)
    if after != guest:
        _keep(domain, after)
    return after


def report(connection: "libvirt.virConnect", function_id: str, within_s: int) -> Report:
    """What is said inside the guest, by its agent."""
    domain = find(connection, function_id)
    if domain is None:
        return Report()
    try:
        _ask(domain, within_s, "guest-ping")
    except libvirt.libvirtError:
        return Report()
    ended = agent.reason(_read(domain, within_s, seed.EXIT_FILE))
    ports = agent.ports(_read(domain, within_s, READY_FILE))
    return Report(is_answering=True, ended=ended, ports=ports)


def boot_probe(connection: "libvirt.virConnect", xml: str) -> None:
    """Switch a guest on that has booted when it switches itself off."""
    connection.defineXML(xml).create()


def has_booted(connection: "libvirt.virConnect", name: str) -> bool | None:
    """Whether the probe guest switched itself off; None while it runs."""
    state, reason = connection.lookupByName(name).state()
    if state != libvirt.VIR_DOMAIN_SHUTOFF:
        return None
    return bool(reason == libvirt.VIR_DOMAIN_SHUTOFF_SHUTDOWN)


def remove_probe(connection: "libvirt.virConnect", name: str) -> None:
    """Nothing of the probe guest is there; not an error if there is nothing."""
    with suppress(libvirt.libvirtError):
        connection.lookupByName(name).destroy()
    with suppress(libvirt.libvirtError):
        connection.lookupByName(name).undefine()


def suspend(connection: "libvirt.virConnect", function_id: str) -> None:
    """Stop the guest's processors; its memory stays."""
    connection.lookupByName(domain_name(function_id)).suspend()


def resume(connection: "libvirt.virConnect", function_id: str) -> None:
    """Let the guest's processors go on."""
    domain = connection.lookupByName(domain_name(function_id))
    if domain.state()[0] == libvirt.VIR_DOMAIN_PAUSED:
        domain.resume()


def snapshots(connection: "libvirt.virConnect", function_id: str) -> list[Snapshot]:
    """The guest's snapshots, the oldest first."""
    parents_first = libvirt.VIR_DOMAIN_SNAPSHOT_LIST_TOPOLOGICAL
    found = connection.lookupByName(domain_name(function_id)).listAllSnapshots(parents_first)
    seen = [domain_xml.snapshot_of(one.getXMLDesc()) for one in found]
    return sorted(seen, key=lambda one: one.taken_s)


def remove_snapshot(connection: "libvirt.virConnect", function_id: str, name: str) -> None:
    """Forget the snapshot."""
    connection.lookupByName(domain_name(function_id)).snapshotLookupByName(name).delete()


def snapshot(connection: "libvirt.virConnect", function_id: str, name: str) -> None:
    """Keep the guest's memory and disk as they are now under that name."""
    connection.lookupByName(domain_name(function_id)).snapshotCreateXML(domain_xml.snapshot(name))


def revert(connection: "libvirt.virConnect", function_id: str, name: str) -> None:
    """Have the guest as it was then."""
    domain = connection.lookupByName(domain_name(function_id))
    domain.revertToSnapshot(domain.snapshotLookupByName(name))


def find(connection: "libvirt.virConnect", function_id: str) -> "libvirt.virDomain | None":
    """The domain of the function's guest; None where there is none."""
    try:
        return connection.lookupByName(domain_name(function_id))
    except libvirt.libvirtError as error:
        if error.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN:
            raise
        return None


def guest_in(domain: "libvirt.virDomain") -> GuestRecord | None:
    """What is kept of the guest in its domain; None where it is not one of ours."""
    try:
        element = domain.metadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, domain_xml.NAMESPACE)
    except libvirt.libvirtError:  # another's domain, or it is gone just now
        return None
    return domain_xml.guest_of(element)


def _keep(domain: "libvirt.virDomain", guest: GuestRecord) -> None:
    flags = libvirt.VIR_DOMAIN_AFFECT_CONFIG
    if domain.isActive():
        flags |= libvirt.VIR_DOMAIN_AFFECT_LIVE
    domain.setMetadata(
        libvirt.VIR_DOMAIN_METADATA_ELEMENT,
        domain_xml.guest_element(guest),
        "umbel",
        domain_xml.NAMESPACE,
        flags,
    )


def _seen(guest: GuestRecord, stats: Mapping[str, int]) -> SeenGuest:
    state = stats.get("state.state", libvirt.VIR_DOMAIN_NOSTATE)
    power, reason = Power.ON, ""
    if state in {libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PMSUSPENDED}:
        is_handed_over = stats.get("state.reason") == libvirt.VIR_DOMAIN_PAUSED_MIGRATION
        power = Power.HANDED_OVER if is_handed_over else Power.SUSPENDED
    elif state in {libvirt.VIR_DOMAIN_SHUTOFF, libvirt.VIR_DOMAIN_CRASHED}:
        power = Power.OFF
        reason = guest.reason or _ENDED.get(stats.get("state.reason", 0), "the guest ended")
    return SeenGuest(
        guest=guest,
        power=power,
        reason=reason,
        cpu_s=stats.get("cpu.time", 0) / 1e9,
        rss_mb=stats.get("balloon.rss", 0) / 1024,
    )


def _ask(domain: "libvirt.virDomain", within_s: int, command: str, **arguments: object) -> object:
    request = {"execute": command, "arguments": arguments} if arguments else {"execute": command}
    try:
        said = libvirt_qemu.qemuAgentCommand(domain, json.dumps(request), within_s, 0)
    except UnicodeDecodeError:  # the guest chooses the bytes
        return None
    return agent.returned(said)


def _read(domain: "libvirt.virDomain", within_s: int, path: str) -> str:
    """A small file of the guest; empty where there is none."""
    try:
        handle = _ask(domain, within_s, "guest-file-open", path=path)
        if not isinstance(handle, int):
            return ""
        try:
            count = agent.MOST_BYTES
            said = _ask(domain, within_s, "guest-file-read", handle=handle, count=count)
        finally:
            _ask(domain, within_s, "guest-file-close", handle=handle)
    except libvirt.libvirtError:
        return ""
    return agent.content(said)
