"""`umbel node` where a node is a hypervisor's: `add --hypervisor`, `certificate` and `remove`.

Options in; lines out. A client of `/api/v1/hypervisors` like any other.
"""

import re
from pathlib import Path
from typing import Annotated, Any

import typer

from umbel.compute.hypervisors.model import (
    CERTIFICATE_DAYS,
    MOST_CERTIFICATE_DAYS,
    Hypervisor,
)
from umbel.kit import private
from umbel.kit.terminal import errors_on_stderr
from umbel.portal.client import ApiClient, signed_in
from umbel.portal.node_waits import LOOK_WITHIN_S

HYPERVISORS = "/api/v1/hypervisors"
FILES = {
    "ca-cert.pem": "authority",
    "server-cert.pem": "certificate",
    "server-key.pem": "key",
    "client-cert.pem": "certificate",
    "client-key.pem": "key",
}
"""By the names that QEMU looks for."""

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


def certificate(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="the hypervisor's node")],
    folder: Annotated[Path, typer.Option(help="where the files go; it is made")],
    also: Annotated[
        list[str] | None,
        typer.Option(help="another address or host name of the hypervisor; may be repeated"),
    ] = None,
    days: Annotated[
        int, typer.Option(help="days until the certificate ends", min=1, max=MOST_CERTIFICATE_DAYS)
    ] = CERTIFICATE_DAYS,
) -> None:
    """Make the files by which a hypervisor copies guests over TLS, and takes calls of libvirt.
    Their key is kept nowhere else."""
    with errors_on_stderr(), signed_in(context.obj) as api:
        path = f"{HYPERVISORS}/{name}/certificate"
        made = api.post(path, {"names": also or [], "days": days})
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for file, part in FILES.items():
            private.write(folder / file, made[part].encode())
    typer.echo(f"{folder} has a certificate of {name} for {', '.join(made['names'])}")
    typer.echo(f"It ends at {made['expires_at']}. Put these files into /etc/pki/qemu there.")
