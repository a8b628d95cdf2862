"""`umbel node` where a node is a hypervisor's: `add --hypervisor`, and `remove`.

Options in; lines out. A client of `/api/v1/hypervisors` like any other.
"""

import re
from typing import Annotated, Any

import typer

from umbel.compute.hypervisors.model import Hypervisor
from umbel.portal.client import ApiClient
from umbel.portal.node_waits import LOOK_WITHIN_S

HYPERVISORS = "/api/v1/hypervisors"

Uri = Annotated[
    str, typer.Option(help="make it of this hypervisor: its URI for libvirt", metavar="URI")
]
Bridge = Annotated[str, typer.Option(help="with --hypervisor: the bridge there for guests")]
GuestRange = Annotated[
    str, typer.Option(help="with --hypervisor: the guests' addresses, FIRST-LAST/PREFIX")
]
Gateway = Annotated[str, typer.Option(help="with --hypervisor: the guests' default route")]
OpenVSwitch = Annotated[
    bool, typer.Option("--open-vswitch", help="with --hypervisor: the bridge is Open vSwitch's")
]
CopiesAt = Annotated[
    str,
    typer.Option(
        help="with --hypervisor: its address where running guests are copied to; else its host name"
    ),
]
PlainCopies = Annotated[
    bool,
    typer.Option(
        "--plain-copies",
        help="with --hypervisor: no TLS for such copies, in a closed network of their own",
    ),
]

_PROBE_WITHIN_S = 2 * LOOK_WITHIN_S
_GUESTS = re.compile(r"(?P<first>[0-9.]{7,15})(?:-(?P<last>[0-9.]{7,15}))?/(?P<prefix>\d{1,2})")
Iscsi = Annotated[
    str,
    typer.Option(
        metavar="HOST:PORT/IQN/FIRST-LAST",
        help="with --hypervisor: its guests' disks are these logical units of an iSCSI target",
    ),
]
_SPEEDS = {"kvm": "KVM", "qemu": "emulation, which is ten times slower: no guest boots with KVM"}


def guest_network(guests: str, bridge: str, gateway: str, is_open_vswitch: bool) -> dict[str, Any]:
    """What guests are connected to, of FIRST-LAST/PREFIX."""
    found = _GUESTS.fullmatch(guests)
    if found is None:
        raise typer.BadParameter(f"{guests}: not FIRST-LAST/PREFIX, such as 10.0.3.10-10.0.3.20/24")
    return {
        "bridge": bridge,
        "is_open_vswitch": is_open_vswitch,
        "first": found["first"],
        "last": found["last"] or found["first"],
        "prefix": int(found["prefix"]),
        "gateway": gateway,
    }


def hypervisor_body(
    uri: str, folder: str, copies_at: str, plain_copies: bool, iscsi: str
) -> dict[str, Any]:
    """How a hypervisor is reached, how guests are copied to it, and where their disks are."""
    copies = {"address": copies_at, "is_plain": plain_copies}
    folder = folder or Hypervisor.folder
    return {"uri": uri, "folder": folder, "copies": copies, "iscsi": iscsi}


def add_hypervisor(api: ApiClient, wanted: dict[str, Any]) -> dict[str, Any]:
    """Add the hypervisor, or go on with one that was added; what was found there, empty the second
    time."""
    name = wanted["name"]
    if any(one["name"] == name for one in api.get(HYPERVISORS)):
        return {}
    typer.echo(f"{name}: trying whether a guest boots")
    added = api.post(HYPERVISORS, wanted, within_s=_PROBE_WITHIN_S)
    facts: dict[str, Any] = added["facts"]
    typer.echo(
        f"{name}: libvirt {facts['libvirt']} on {facts['host_name']}, {facts['cores']} cores, "
        f"{facts['memory_mb']} MiB; guests run with {_SPEEDS[added['accelerator']]}"
    )
    return facts
