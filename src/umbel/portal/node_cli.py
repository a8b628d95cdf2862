"""`umbel node`: list, add, remove, upgrade, cordon, uncordon and drain nodes of a platform.

Options in; a table or lines out. A client of `/api/v1/nodes` like any other.
"""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from umbel.compute.clouds.model import CLOUDS_POOL
from umbel.compute.clusters.model import CLUSTERS_POOL
from umbel.compute.hypervisors.model import HYPERVISORS_POOL
from umbel.compute.machines.model import HOSTS_POOL, Machine, parse_target
from umbel.compute.model import DEFAULT_POOL, Node, NodeKind
from umbel.kit.terminal import errors_on_stderr
from umbel.network.documents import read_document
from umbel.portal.client import ApiClient, RefusedByPlatform, operators_app, signed_in
from umbel.portal.cloud_cli import (
    CLOUDS,
    Cloud,
    CloudNetwork,
    External,
    Flavor,
    OpenStack,
    Zone,
    add_cloud_node,
    sign_in_to_cloud,
)
from umbel.portal.cluster_cli import (
    CLUSTERS,
    ContainerImage,
    Context,
    Kubernetes,
    MachineName,
    Namespace,
    add_cluster_node,
    replace_credentials,
    sign_in,
)
from umbel.portal.hypervisor_cli import (
    HYPERVISORS,
    Bridge,
    CopiesAt,
    Gateway,
    GuestRange,
    Iscsi,
    OpenVSwitch,
    PlainCopies,
    Uri,
    add_hypervisor,
    certificate,
    guest_network,
    hypervisor_body,
)
from umbel.portal.machine_cli import add_machine, key, upgrade
from umbel.portal.migration_cli import DEFAULT_TERMS, MaxGap, ask_choice, make_moves
from umbel.portal.node_waits import LOOK_WITHIN_S, MACHINES, NODES, wait_until_drained
from umbel.portal.prepared_cli import prepare, prepared

app = operators_app("Nodes of a running platform, for operators.")
app.command()(key)
app.command()(upgrade)
app.command()(certificate)
app.command()(prepare)
app.command()(prepared)

_COLUMNS = ("node", "pool", "state", "cores", "MiB", "Mbit/s", "functions", "viewers")

Name = Annotated[str, typer.Argument(help="the node's name")]
Address = Annotated[
    str,
    typer.Argument(
        help="its IP address or host name; with --ssh by default that host, with --kubernetes"
        " or --openstack the address that it has there"
    ),
]
Ssh = Annotated[str, typer.Option(help="make it of this machine: USER@HOST or USER@HOST:PORT")]
InstallTo = Annotated[
    str, typer.Option(help="with --ssh or --hypervisor: the folder there that holds all of ours")
]
RunAs = Annotated[
    str, typer.Option(help="with --ssh as root: the user that runs functions, made if absent")
]
Links = Annotated[
    list[str],
    typer.Option(help="a node that it is linked to: NODE, NODE,MBPS or NODE,MBPS,DELAY_MS"),
]
Prefixes = Annotated[
    list[str] | None, typer.Option(help="a client network that it gives access to")
]
Cores = Annotated[
    float | None, typer.Option(help="CPU cores for functions; 1, or all of a machine's")
]
MemoryMb = Annotated[
    float | None, typer.Option(help="MiB for functions; 2048, or all of a machine's")
]
PortRange = Annotated[
    str | None, typer.Option(help="where its functions listen: FIRST,LAST; else on any port")
]
Watts = Annotated[
    str | None, typer.Option(help="what it draws, measured: IDLE,BUSY or IDLE,BUSY,STANDBY")
]
SiteFile = Annotated[
    Path | None, typer.Option(help="a YAML file with its switch and both ends of its links")
]
Pool = Annotated[
    str, typer.Option(help="whose VIM runs its functions; with --ssh by default hosts")
]


@app.command("list")
def list_nodes(context: typer.Context) -> None:
    """Show every node with its state, what is used of it, and what each owner was promised."""
    with errors_on_stderr(), signed_in(context.obj) as api:
        table = Table(*_COLUMNS, "promised", box=None)
        for node in api.get(NODES):
            table.add_row(*_row(node))
    Console().print(table)


@app.command()
def add(  # noqa: PLR0913, PLR0917 -- one argument per option
    context: typer.Context,
    name: Name,
    link: Links,
    address: Address = "",
    ssh: Ssh = "",
    install_to: InstallTo = "",
    run_as: RunAs = Machine.run_as,
    hypervisor: Uri = "",
    bridge: Bridge = "br0",
    guests: GuestRange = "",
    gateway: Gateway = "",
    open_vswitch: OpenVSwitch = False,
    copies_at: CopiesAt = "",
    plain_copies: PlainCopies = False,
    iscsi: Iscsi = "",
    kubernetes: Kubernetes = "",
    kube_context: Context = "",
    machine: MachineName = "",
    namespace: Namespace = "",
    image: ContainerImage = "",
    openstack: OpenStack = "",
    cloud: Cloud = "",
    flavor: Flavor = "",
    network: CloudNetwork = "",
    zone: Zone = "",
    external: External = "",
    kind: NodeKind = NodeKind.PROVIDER_EDGE,
    cores: Cores = None,
    memory_mb: MemoryMb = None,
    mbps: Annotated[float, typer.Option(help="Mbit/s that functions may send")] = Node.mbps,
    prefix: Prefixes = None,
    pool: Pool = "",
    ports: PortRange = None,
    watts: Watts = None,
    site: SiteFile = None,
) -> None:
    """Add a node with its links; streams may use it at once.

    With --ssh it is a machine of yours, looked over first. Without systemd, nothing has limits.
    With --hypervisor and --guests functions are guests of it: a guest is tried there first.
    With --kubernetes and --image functions are pods on a cluster's node, with its network.
    With --openstack, --flavor and --network functions are servers in a project of a cloud.
    """
    lan = guest_network(guests, bridge, gateway, open_vswitch) if hypervisor else {}
    address = address or lan.get("first", "") or ("" if kubernetes or openstack else _host(ssh))
    named = {"name": name, "pool": pool or _usual_pool(ssh, hypervisor, kubernetes, openstack)}
    links = [_link(text) for text in link]
    given = {"kind": kind.value, "mbps": mbps, "prefixes": prefix or []}
    body = (named | given) | {
        "ports": _ports(ports) if ports else None,
        "watts": _watts(watts) if watts else None,
        "site": _with_ends(site, links) if site else None,
        "links": links,
    }
    with errors_on_stderr(), signed_in(context.obj) as api:
        found = _add_below(api, named, {**context.params, "address": address, "lan": lan})
        api.post(NODES, body | _as_found(found, address, cores, memory_mb))
    typer.echo(f"added {name}")


def _add_below(api: ApiClient, named: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """Add what the node is of, as the options say it; what was found there."""
    if ssh := given["ssh"]:
        words = (given["address"], given["install_to"], given["run_as"])
        return add_machine(api, named | _machine(ssh, *words))
    if uri := given["hypervisor"]:
        mine = ("install_to", "copies_at", "plain_copies", "iscsi")
        where = hypervisor_body(uri, *(given[one] for one in mine))
        return add_hypervisor(api, named | where | {"network": given["lan"]})
    if file := given["kubernetes"]:
        where = {key: given[key] for key in ("image", "machine", "namespace")}
        return add_cluster_node(api, named | where | sign_in(file, given["kube_context"]))
    if file := given["openstack"]:
        keys = ("flavor", "network", "zone", "external", "machine")
        where = {key: given[key] for key in keys}
        return add_cloud_node(api, named | where | sign_in_to_cloud(file, given["cloud"]))
    return {}


@app.command()
def remove(
    context: typer.Context,
    name: Name,
    force: Annotated[
        bool,
        typer.Option("--force", help="forget a machine, hypervisor, cluster or cloud that is away"),
    ] = False,
) -> None:
    """Remove a node that carries nothing: drain it first. Nothing is left on its machine, its
    hypervisor, in its cluster or in its cloud."""
    with errors_on_stderr(), signed_in(context.obj) as api:
        paths = (MACHINES, HYPERVISORS, CLUSTERS, CLOUDS)
        below = [path for path in paths if name in {one["name"] for one in api.get(path)}]
        # A machine whose node is gone already is what an interrupted `remove` or `add` left.
        if not below or name in {one["name"] for one in api.get(NODES)}:
            api.delete(f"{NODES}/{name}")
        query = "?force=true" if force else ""
        for path in below:
            api.delete(f"{path}/{name}{query}", within_s=LOOK_WITHIN_S)
    typer.echo(f"removed {name}")


@app.command()
def credentials(
    context: typer.Context,
    name: Name,
    kubernetes: Annotated[str, typer.Option(help="a kubeconfig file, or in-cluster")],
    kube_context: Context = "",
) -> None:
    """Sign in at a node's Kubernetes cluster in another way; what runs there runs on."""
    given = sign_in(kubernetes, kube_context)
    with errors_on_stderr(), signed_in(context.obj) as api:
        replace_credentials(api, name, given)


@app.command()
def cordon(context: typer.Context, name: Name) -> None:
    """Place nothing new on a node; what runs there stays."""
    _schedule(context, name, "cordon")


@app.command()
def uncordon(context: typer.Context, name: Name) -> None:
    """Use a node again, also after a drain."""
    _schedule(context, name, "uncordon")


@app.command()
def drain(  # noqa: PLR0913, PLR0917 -- one argument per option
    context: typer.Context,
    name: Name,
    within: Annotated[
        float | None, typer.Option(help="seconds until what is left on it is ended", min=0)
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="end what is on it at once")] = False,
    move: Annotated[
        bool,
        typer.Option("--move", help="first move running functions to other nodes, where possible"),
    ] = False,
    max_gap: MaxGap = DEFAULT_TERMS.max_gap_s,
    wait: Annotated[bool, typer.Option(help="show progress until the node is empty")] = True,
) -> None:
    """Move everything away from a node, and show progress until it is empty.

    Viewers are asked to leave; encoders do not move by themselves. Without --within or --force
    the drain takes as long as they stay. Ctrl-C ends the display alone; `uncordon` undoes it.
    With --move, functions of virtual machines go with their viewers and encoders, who stay.
    """
    with errors_on_stderr(), signed_in(context.obj) as api:
        if move:
            _move_away(api, name, max_gap)
        body = {"within_s": 0.0 if force else within}
        node = api.post(f"{NODES}/{name}/drain", body)
        if wait:
            wait_until_drained(api, node)
        else:
            typer.echo(f"{name} is {node['state']}")


def _move_away(api: ApiClient, name: str, max_gap_s: float) -> None:
    """Place nothing new on the node, and make the moves that empty it with the fewest bytes. What
    cannot be moved is left to the drain."""
    api.post(f"{NODES}/{name}/cordon")
    try:
        make_moves(api, ask_choice(api, {"drain": [name]}), max_gap_s)
    except RefusedByPlatform as refused:
        typer.secho(f"nothing more is moved: {refused.message}", fg="yellow", err=True)


def _schedule(context: typer.Context, name: str, action: str) -> None:
    with errors_on_stderr(), signed_in(context.obj) as api:
        node = api.post(f"{NODES}/{name}/{action}")
    typer.echo(f"{name} is {node['state']}")


_POOLS = (HOSTS_POOL, HYPERVISORS_POOL, CLUSTERS_POOL, CLOUDS_POOL)
_KINDS = "--ssh, --hypervisor, --kubernetes"


def _usual_pool(*given: str) -> str:
    """The pool of a node of this kind."""
    pools = [pool for pool, value in zip(_POOLS, given, strict=True) if value]
    if len(pools) > 1:
        raise typer.BadParameter(f"give one of {_KINDS} and --openstack")
    return pools[0] if pools else DEFAULT_POOL


def _host(ssh: str) -> str:
    """The host of a machine, where one is given."""
    if not ssh:
        raise typer.BadParameter(f"give the node's address, {_KINDS} or --openstack")
    with errors_on_stderr():
        return parse_target(ssh).host


def _machine(ssh: str, address: str, install_to: str, run_as: str) -> dict[str, str]:
    prefix = install_to or Machine.prefix
    return {"ssh": ssh, "address": address, "prefix": prefix, "run_as": run_as}


def _as_found(
    found: dict[str, Any], address: str, cores: float | None, memory_mb: float | None
) -> dict[str, object]:
    """Its address and what functions may use: as given, else as found there, else the usual."""
    return {
        "address": address or found.get("address", ""),
        "cores": found.get("cores", Node.cores) if cores is None else cores,
        "memory_mb": found.get("memory_mb", Node.memory_mb) if memory_mb is None else memory_mb,
    }


def _link(text: str) -> dict[str, object]:
    to, *rest = text.split(",")
    try:
        numbers = dict(zip(("mbps", "delay_ms"), map(float, rest), strict=False))
    except ValueError:
        numbers = {}
    if len(numbers) != len(rest):
        raise typer.BadParameter(f"{text}: not NODE, NODE,MBPS or NODE,MBPS,DELAY_MS")
    return {"to": to, **numbers}


def _with_ends(file: Path, links: list[dict[str, object]]) -> object:
    """Give the links the ends that the file describes. Returns its switch, if it describes one."""
    with errors_on_stderr():
        document = read_document(file)
    try:
        read = json.loads(json.dumps(document, default=str))
    except (TypeError, ValueError, RecursionError):
        read = None
    ends = read.pop("links", None) or {} if isinstance(read, dict) else None
    if not isinstance(read, dict) or not isinstance(ends, dict):
        raise typer.BadParameter(f"{file}: not a switch's fields and `links` by neighbour")
    if unknown := sorted(str(name) for name in ends.keys() - {one["to"] for one in links}):
        raise typer.BadParameter(f"{file}: links: no --link leads to {', '.join(unknown)}")
    for one in links:
        end = ends.get(one["to"]) or {}
        if not isinstance(end, dict) or not end.keys() <= {"local", "remote"}:
            raise typer.BadParameter(f"{file}: links: {one['to']}: not `local` and `remote`")
        one.update(end)
    return read or None


def _ports(text: str) -> list[int]:
    try:
        first, last = map(int, text.split(","))
    except ValueError:
        raise typer.BadParameter(f"{text}: not FIRST,LAST") from None
    return [first, last]


def _watts(text: str) -> dict[str, float]:
    try:
        figures = [float(part) for part in text.split(",")]
    except ValueError:
        figures = []
    if len(figures) not in {2, 3}:
        raise typer.BadParameter(f"{text}: not IDLE,BUSY or IDLE,BUSY,STANDBY")
    return dict(zip(("idle", "busy", "standby"), figures, strict=False))


def _row(node: dict[str, Any]) -> list[str]:
    promised = (f"{one['owner']}: {one['cores']:g} cores" for one in node["promised"])
    return [
        node["name"],
        node["pool"],
        node["state"],
        f"{node['cores_used']:.2f}/{node['cores']:g}",
        f"{node['memory_used_mb']:.0f}/{node['memory_mb']:g}",
        f"{node['mbps_used']:.1f}/{node['mbps']:g}",
        str(len(node["functions"])),
        str(node["viewers"]),
        ", ".join(promised),
    ]
