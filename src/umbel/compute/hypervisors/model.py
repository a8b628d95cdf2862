"""A hypervisor as a value, and what can be wrong with it."""

import ipaddress
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import SplitResult, unquote, urlsplit

from umbel.compute.hypervisors import iscsi
from umbel.compute.model import Snapshot
from umbel.kit import hosts
from umbel.kit.errors import Conflict, Exhausted, Invalid, NotFound, Unavailable

HYPERVISORS_POOL = "hypervisors"
"""The pool of a hypervisor that names none."""

OVERLAY_BRIDGE = "br1"
"""The bridge of a node's Open vSwitch that carries streams and has only the platform's rules."""

_SCHEMES = ("qemu", "qemu+unix", "qemu+ssh", "qemu+tls")
CERTIFICATE_DAYS = 825
MOST_CERTIFICATE_DAYS, MOST_CERTIFICATE_NAMES = 3650, 16
_PARAMETERS = {"keyfile", "known_hosts", "pkipath", "socket"}
"""Of a URI. Others have libvirt run programs here (command, netcat) or check less (no_verify)."""
_WHERE = re.compile(
    r"([A-Za-z0-9_][A-Za-z0-9_.-]*@)?"
    r"([A-Za-z0-9_][A-Za-z0-9_.-]*|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?"
)
"""The user, host and port of a URI. libvirt decodes what begins with %, and ssh reads what begins
with - as an option."""
_BRIDGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,14}")
_FOLDER = re.compile(r"(/[A-Za-z0-9][A-Za-z0-9._-]*){2,12}")
_MOST_ADDRESSES = 4096


class BadHypervisor(Invalid):
    """This describes no hypervisor; its URI is such as qemu+ssh://admin@192.0.2.11/system."""

    code = "umbel.bad_hypervisor"


class HypervisorUnreachable(Unavailable):
    """The hypervisor does not answer."""

    code = "umbel.hypervisor_unreachable"


class HypervisorFailed(Unavailable):
    """The hypervisor did not do what it was asked."""

    code = "umbel.hypervisor_failed"


class NoSuchHypervisor(NotFound):
    """No hypervisor has this name."""

    code = "umbel.no_such_hypervisor"


class HypervisorExists(Conflict):
    """A hypervisor has this name, this URI or some of these addresses already."""

    code = "umbel.hypervisor_exists"


class HypervisorInUse(Conflict):
    """Guests run on the hypervisor, or its node is there; drain and remove its node first."""

    code = "umbel.hypervisor_in_use"


class NoGuestAddress(Exhausted):
    """Every address that the hypervisor may give to guests has one."""

    code = "umbel.no_guest_address"


class NoLunLeft(Exhausted):
    """Every logical unit that the hypervisor may give to guests has one."""

    code = "umbel.no_lun_left"


class GuestOnLun(Conflict):
    """The guest's disk is a logical unit of an iSCSI target: it has no snapshots."""

    code = "umbel.guest_on_lun"


class NoSuchGuest(NotFound):
    """No guest runs this function."""

    code = "umbel.no_such_guest"


class NotAGuest(Conflict):
    """The function is no guest of a hypervisor: only guests are suspended and have snapshots."""

    code = "umbel.not_a_guest"


class GuestMoving(Conflict):
    """The guest is being moved; wait until it has arrived, or cancel its migration."""

    code = "umbel.guest_moving"


class NoSuchSnapshot(NotFound):
    """The guest has no snapshot of this name."""

    code = "umbel.no_such_snapshot"


class SnapshotExists(Conflict):
    """The guest has a snapshot of this name; remove it, or choose another name."""

    code = "umbel.snapshot_exists"


class TooManySnapshots(Conflict):
    """The guest has as many snapshots as one may have; remove one."""

    code = "umbel.too_many_snapshots"


MOST_SNAPSHOTS = 16
"""Of a guest. Each may need as much disk as the guest has memory."""


class Accelerator(StrEnum):
    """What runs a guest's instructions."""

    KVM = "kvm"
    TCG = "qemu"  # emulated, ten times slower; libvirt's word


@dataclass(frozen=True, kw_only=True)
class GuestNetwork:
    """What guests are connected to, and the addresses that they get: `first` to `last`, in a
    network of `prefix` bits, with a default route through `gateway` where one is given."""

    bridge: str
    first: str
    last: str
    prefix: int = 24
    gateway: str = ""
    is_open_vswitch: bool = False

    @property
    def is_overlay(self) -> bool:
        """Whether guests are on the overlay: its switches lead to a guest wherever it is."""
        return self.is_open_vswitch and self.bridge == OVERLAY_BRIDGE

    @property
    def subnet(self) -> ipaddress.IPv4Network:
        """The network that guests' addresses are in."""
        return ipaddress.IPv4Network(f"{self.first}/{self.prefix}", strict=False)

    def addresses(self) -> Iterator[str]:
        """Every address, in order."""
        first, last = int(ipaddress.IPv4Address(self.first)), int(ipaddress.IPv4Address(self.last))
        return (str(ipaddress.IPv4Address(number)) for number in range(first, last + 1))


@dataclass(frozen=True, kw_only=True)
class CopyAccess:
    """How running guests are copied between hypervisors: `address` is where this one takes them,
    empty for its host name. `is_plain`: without TLS, in a closed network of their own."""

    address: str = ""
    is_plain: bool = False


@dataclass(frozen=True, kw_only=True)
class Hypervisor:
    """A hypervisor that was added. `name` is its node's. Its images and its guests' disks are in
    `folder` there; `accelerator` is what its probe guest ran with. With `iscsi`, as iscsi.py reads
    it, its guests' disks are logical units of that target instead."""

    name: str
    uri: str
    network: GuestNetwork
    pool: str = HYPERVISORS_POOL
    folder: str = "/var/lib/umbel/guests"
    accelerator: Accelerator = Accelerator.TCG
    copies: CopyAccess = CopyAccess()
    iscsi: str = ""

    @property
    def is_here(self) -> bool:
        """Whether it is the control plane's own machine."""
        parts = urlsplit(self.uri)
        return parts.scheme in {"qemu", "qemu+unix"} and not parts.netloc

    @property
    def host(self) -> str:
        """The host that its URI names; empty for the control plane's own machine."""
        return urlsplit(self.uri).hostname or ""


@dataclass(frozen=True, kw_only=True)
class HypervisorFacts:
    """What a hypervisor said of itself; memory in MiB."""

    host_name: str
    libvirt: str
    cores: int
    memory_mb: int


def check_new_snapshot(function_id: str, snapshots: Sequence[Snapshot], name: str) -> None:
    """Raise SnapshotExists, or TooManySnapshots, unless the guest may have one of that name."""
    if any(one.name == name for one in snapshots):
        raise SnapshotExists(
            f"{function_id} has a snapshot {name} already", function=function_id, snapshot=name
        )
    if len(snapshots) >= MOST_SNAPSHOTS:
        message = f"{function_id} has {MOST_SNAPSHOTS} snapshots; remove one"
        raise TooManySnapshots(message, function=function_id)


def check_snapshot(function_id: str, snapshots: Sequence[Snapshot], name: str) -> None:
    """Raise NoSuchSnapshot unless the guest has one of that name."""
    if all(one.name != name for one in snapshots):
        message = f"{function_id} has no snapshot {name}"
        raise NoSuchSnapshot(message, function=function_id, snapshot=name)


def check(hypervisor: Hypervisor) -> None:
    """Raise BadHypervisor, with all that is wrong."""
    problems = [*_uri_problems(hypervisor.uri), *_network_problems(hypervisor.network)]
    if _FOLDER.fullmatch(hypervisor.folder) is None:
        problems.append(f"{hypervisor.folder!r} is no folder such as /var/lib/umbel/guests")
    problems += _iscsi_problems(hypervisor.iscsi)
    if (address := hypervisor.copies.address) and not hosts.is_address(address):
        problems.append(f"{address!r} is no address where copies of guests are taken")
    if problems:
        raise BadHypervisor(f"{hypervisor.name}: {'; '.join(problems)}", problems=problems)


def _iscsi_problems(text: str) -> Iterator[str]:
    try:
        if text:
            iscsi.parse(text)
    except ValueError as error:
        yield str(error)


def _uri_problems(uri: str) -> Iterator[str]:
    try:
        parts = urlsplit(uri)
    except ValueError as error:
        yield f"the URI cannot be read: {error}"
    else:
        yield from _part_problems(uri, parts)


def _part_problems(uri: str, parts: SplitResult) -> Iterator[str]:
    if parts.scheme not in _SCHEMES:
        yield f"the URI {uri!r} does not begin with one of {', '.join(_SCHEMES)}"
    elif parts.path not in {"/system", "/session"}:
        yield f"the URI {uri!r} does not name /system"
    elif parts.password is not None:
        yield "the URI holds a password: use a key or a certificate"
    elif parts.scheme in {"qemu+ssh", "qemu+tls"} and not parts.hostname:
        yield f"the URI {uri!r} names no host"
    elif parts.netloc and _WHERE.fullmatch(parts.netloc) is None:
        yield f"the URI {uri!r} names no host such as admin@192.0.2.11"
    elif parts.fragment or not uri.isprintable():
        yield f"the URI {uri!r} has more than parameters after /system"
    elif others := sorted(_parameters(parts.query) - _PARAMETERS):
        yield f"the URI has {', '.join(others)}; it may have {', '.join(sorted(_PARAMETERS))}"


def _parameters(query: str) -> set[str]:
    """The names in a query, as libvirt reads it: it also ends a parameter at a semicolon."""
    return {unquote(one.partition("=")[0]) for one in re.split("[&;]", query) if one}


def _network_problems(network: GuestNetwork) -> Iterator[str]:
    if _BRIDGE.fullmatch(network.bridge) is None:
        yield f"{network.bridge!r} is no bridge's name"
    try:
        subnet = ipaddress.IPv4Interface(f"{network.first}/{network.prefix}").network
        last = ipaddress.IPv4Address(network.last)
        first = ipaddress.IPv4Address(network.first)
        gateway = ipaddress.IPv4Address(network.gateway) if network.gateway else first
    except ValueError as error:
        yield str(error)
        return
    if not first <= last < first + _MOST_ADDRESSES or last not in subnet:
        yield f"{first} to {last} is no range of at most {_MOST_ADDRESSES} addresses in {subnet}"
    if gateway not in subnet:
        yield f"the gateway {gateway} is not in {subnet}"
