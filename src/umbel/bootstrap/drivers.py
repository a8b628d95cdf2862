"""Which technologies are in use: settings and the network's document in, Drivers out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from umbel.bootstrap.secrets import Secrets
from umbel.compute.drivers.fake import FakeVim
from umbel.compute.drivers.process import (
    Executor,
    HostExecutor,
    NamespaceExecutor,
    Preparation,
    ProcessVim,
)
from umbel.compute.model import DEFAULT_POOL, Inventory, VimKind
from umbel.compute.ports import Vim
from umbel.compute.service import inspect_nodes, resolve_document
from umbel.delivery.loop.functions import MEDIA_COMMAND
from umbel.delivery.steering.drivers.process import ProcessSolver
from umbel.delivery.steering.ports import Solver
from umbel.kit.clock import Clock
from umbel.kit.config import Settings
from umbel.media.drivers.jsonrpc import JsonRpcMedia
from umbel.media.ports import MediaPlane
from umbel.network.documents import (
    BadNetwork,
    Grade,
    Terms,
    builtin_document,
    inspect_terms,
    inspect_topology,
    read_document,
)
from umbel.network.drivers.loopback import LoopbackFabric
from umbel.network.model import Topology
from umbel.network.service import NetworkDrivers
from umbel.notify.drivers.http import HttpCourier
from umbel.notify.ports import Courier

if TYPE_CHECKING:
    from umbel.bootstrap.overlay import Switched


PREPARED_MEDIA = Preparation(
    words=MEDIA_COMMAND, command=(*MEDIA_COMMAND[:-1], "umbel.media.prepared")
)


@dataclass(frozen=True, kw_only=True)
class Drivers:
    """The technologies in use. `owners` are the parts other than delivery that own functions;
    `vim` runs the default pool, `pools` are the VIMs of others."""

    vim: Vim
    media: MediaPlane
    network: NetworkDrivers
    courier: Courier = field(default_factory=HttpCourier)
    overlay: "Switched | None" = None
    solver: Solver = field(default_factory=ProcessSolver)
    owners: tuple[str, ...] = ()
    pools: Mapping[str, Vim] = field(default_factory=dict)


def real_drivers(settings: Settings, document: object, secrets: Secrets, clock: Clock) -> Drivers:
    """Functions as processes of this machine. Where the network file tells of switches, streams go
    over them and functions run at the nodes; else all is loopback. Raises BadNetwork, NoTestbed."""
    over = None
    if isinstance(document, Mapping) and "sites" in document:
        # What speaks to switches costs a tenth of a whole start.
        from umbel.bootstrap import overlay  # noqa: PLC0415

        nodes, _, _ = read_network(document)
        over = overlay.switched(document, nodes.nodes, settings, clock, secrets.master)
    is_inside = over is not None and over.namespaces
    executor = NamespaceExecutor(over.namespaces) if over and is_inside else HostExecutor()
    return Drivers(
        vim=ProcessVim(
            settings.data_dir,
            clock,
            executor=executor,
            # What is prepared cannot know yet at which node it will be needed.
            preparation=None if is_inside else PREPARED_MEDIA,
        ),
        pools=_pools(document, settings.data_dir, clock, executor),
        media=JsonRpcMedia(),
        network=over.network if over else NetworkDrivers(fabric=LoopbackFabric()),
        overlay=over,
    )


def _pools(document: object, data_dir: Path, clock: Clock, executor: Executor) -> dict[str, Vim]:
    """The VIM of each pool that the document names, without the default pool."""
    inventory, _, _ = read_network(document)
    named = {name: kind for name, kind in inventory.pools.items() if name != DEFAULT_POOL}
    return {
        name: ProcessVim(data_dir / "pools" / name, clock, executor=executor)
        if kind is VimKind.PROCESS
        else FakeVim(clock)
        for name, kind in named.items()
    }


def network_document(path: Path | None) -> object:
    """What a network file says, or SLS's network without one. Raises BadNetwork."""
    return resolve_document(read_document(path)) if path is not None else builtin_document("sls")


def read_network(document: object) -> tuple[Inventory, Topology, Mapping[Grade, Terms]]:
    """A network document's nodes, links and slices' terms. Raises BadNetwork with every problem of
    the file."""
    nodes, wrong_nodes = inspect_nodes(document)
    links, wrong_links = inspect_topology(document)
    terms, wrong_terms = inspect_terms(document)
    problems = list(dict.fromkeys([*wrong_nodes, *wrong_links, *wrong_terms]))
    if problems:
        many = "a problem" if len(problems) == 1 else f"{len(problems)} problems"
        raise BadNetwork(f"the network file has {many}", problems=problems)
    return nodes, links, terms
