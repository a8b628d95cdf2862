"""Which technologies are in use: settings and the network's document in, Drivers out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from umbel.bootstrap.secrets import Secrets
from umbel.compute.clouds.model import CLOUDS_POOL
from umbel.compute.clouds.service import CloudAccess
from umbel.compute.clouds.store import CloudStore
from umbel.compute.clusters.model import CLUSTERS_POOL
from umbel.compute.clusters.service import ClusterAccess
from umbel.compute.clusters.store import ClusterStore
from umbel.compute.drivers.fake import FakeVim
from umbel.compute.drivers.kubernetes.access import KubernetesAccess
from umbel.compute.drivers.kubernetes.context import ClusterContext
from umbel.compute.drivers.kubernetes.vim import KubernetesVim
from umbel.compute.drivers.libvirt.access import LibvirtAccess
from umbel.compute.drivers.libvirt.context import GuestContext
from umbel.compute.drivers.libvirt.vim import LibvirtVim
from umbel.compute.drivers.openstack.access import OpenStackAccess
from umbel.compute.drivers.openstack.context import CloudContext
from umbel.compute.drivers.openstack.vim import OpenStackVim
from umbel.compute.drivers.process import (
    Executor,
    ForkServerProgram,
    HostExecutor,
    NamespaceExecutor,
    ProcessVim,
)
from umbel.compute.drivers.ssh import keys
from umbel.compute.drivers.ssh.access import SshAccess
from umbel.compute.drivers.ssh.surroundings import Surroundings
from umbel.compute.drivers.ssh.vim import SshVim
from umbel.compute.hypervisors.authority import Authority
from umbel.compute.hypervisors.document import inspect as inspect_hypervisors
from umbel.compute.hypervisors.model import HYPERVISORS_POOL
from umbel.compute.hypervisors.service import HypervisorAccess
from umbel.compute.hypervisors.store import HypervisorStore
from umbel.compute.images.folder import Images
from umbel.compute.machines.model import HOSTS_POOL
from umbel.compute.machines.service import Access
from umbel.compute.machines.store import MachineStore
from umbel.compute.model import DEFAULT_POOL, Inventory, VimKind
from umbel.compute.ports import Vim
from umbel.compute.service import inspect_nodes, resolve_document
from umbel.delivery.loop.functions import MEDIA_COMMAND
from umbel.delivery.steering.drivers.process import ProcessSolver
from umbel.delivery.steering.ports import Solver
from umbel.kit import private
from umbel.kit.clock import Clock
from umbel.kit.config import Settings
from umbel.kit.db import Database
from umbel.media.drivers.jsonrpc import JsonRpcMedia
from umbel.media.drivers.recorder_client import RecorderClient
from umbel.media.drivers.replay_client import ReplayClient
from umbel.media.ports import MediaDriver, Recorders, ReplayCaches
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
from umbel.repository.ports import Storage

if TYPE_CHECKING:
    from umbel.bootstrap.overlay import Switched


FORKED_MEDIA = ForkServerProgram(
    words=MEDIA_COMMAND, command=(*MEDIA_COMMAND[:-1], "umbel.media.fork_server")
)


@dataclass(frozen=True, kw_only=True)
class Drivers:
    """The technologies in use. `owners` are the parts other than delivery that own functions;
    `vim` runs the default pool, `pools` are the VIMs of others; without a `storage` the repository
    has the one that the settings name."""

    vim: Vim
    media: MediaDriver
    network: NetworkDrivers
    courier: Courier = field(default_factory=HttpCourier)
    recorders: Recorders = field(default_factory=RecorderClient)
    replay_caches: ReplayCaches = field(default_factory=ReplayClient)
    overlay: "Switched | None" = None
    solver: Solver = field(default_factory=ProcessSolver)
    owners: tuple[str, ...] = ()
    pools: Mapping[str, Vim] = field(default_factory=dict)
    storage: Storage | None = None


def real_drivers(
    settings: Settings,
    document: object,
    secrets: Secrets,
    clock: Clock,
    database: Database,
) -> Drivers:
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
        vim=ProcessVim(settings.data_dir, clock, executor=executor, forks=FORKED_MEDIA),
        pools=_pools(document, settings.data_dir, clock, executor)
        | _hosts_pools(document, secrets, clock, MachineStore(database))
        | _libvirt_pools(document, _guest_context(settings, secrets, clock), database)
        | _cluster_pools(document, secrets, clock, database)
        | _cloud_pools(document, _cloud_context(settings, secrets, clock), secrets, database),
        media=JsonRpcMedia(),
        network=over.network if over else NetworkDrivers(fabric=LoopbackFabric()),
        overlay=over,
    )


def machine_access(secrets: Secrets, data_dir: Path) -> Access:
    """What reaches the operator's machines."""
    return SshAccess(keys.derive(secrets.master), data_dir / "bundles")


def image_folder(data_dir: Path) -> Images:
    """The images that guests boot."""
    return Images(data_dir / "images")


def hypervisor_access(settings: Settings, secrets: Secrets, clock: Clock) -> HypervisorAccess:
    """What reaches the operator's hypervisors."""
    return LibvirtAccess(_guest_context(settings, secrets, clock))


def _guest_context(settings: Settings, secrets: Secrets, clock: Clock) -> GuestContext:
    return GuestContext(
        installation=secrets.installation,
        images=image_folder(settings.data_dir),
        clock=clock,
        files=(secrets.public_key_file,),
        ssh_keys=(keys.derive(secrets.master).public,),
        certificates=_own_certificate(settings.data_dir, secrets),
    )


def hypervisor_authority(secrets: Secrets) -> Authority:
    """What issues certificates for the operator's hypervisors."""
    return Authority(secrets.master, secrets.installation)


def _own_certificate(data_dir: Path, secrets: Secrets) -> Path:
    """The folder of the control plane's own certificate, by the names that libvirt looks for. It
    follows another master key."""
    folder = data_dir / "keys" / "libvirt"
    own = hypervisor_authority(secrets).own()
    private.ensure_folder(folder)
    for name, text in (
        ("cacert.pem", own.authority),
        ("clientcert.pem", own.certificate),
        ("clientkey.pem", own.key),
    ):
        file = folder / name
        if not file.exists() or file.read_text() != text:
            private.write(file, text.encode())
    return folder


def _libvirt_pools(document: object, around: GuestContext, database: Database) -> dict[str, Vim]:
    """The VIM of each pool of hypervisors; one is there without being named."""
    names, store = (
        _pools_of(VimKind.LIBVIRT, document, HYPERVISORS_POOL),
        hypervisor_store(document, database),
    )
    return {name: LibvirtVim(name, store, around) for name in names}


def hypervisor_store(document: object, database: Database) -> HypervisorStore:
    """The hypervisors: those of the network file, and those in rows. Raises BadNetwork."""
    named, problems = inspect_hypervisors(document)
    if problems:
        raise BadNetwork("the network file's hypervisors have problems", problems=problems)
    return HypervisorStore(database, named)


def cluster_access(secrets: Secrets, clock: Clock) -> ClusterAccess:
    """What reaches the operator's Kubernetes clusters."""
    return KubernetesAccess(_cluster_context(secrets, clock))


def cluster_store(secrets: Secrets, database: Database) -> ClusterStore:
    """The clusters' nodes in rows, with their credentials sealed."""
    return ClusterStore(database, secrets.sealer("umbel clusters' credentials 1"))


def _cluster_context(secrets: Secrets, clock: Clock) -> ClusterContext:
    return ClusterContext(
        installation=secrets.installation, clock=clock, files=(secrets.public_key_file,)
    )


def _cluster_pools(
    document: object, secrets: Secrets, clock: Clock, database: Database
) -> dict[str, Vim]:
    """The VIM of each pool of clusters' nodes; one is there without being named."""
    names = _pools_of(VimKind.KUBERNETES, document, CLUSTERS_POOL)
    nodes, around = cluster_store(secrets, database), _cluster_context(secrets, clock)
    return {name: KubernetesVim(name, nodes, around) for name in names}


def cloud_access(settings: Settings, secrets: Secrets, clock: Clock) -> CloudAccess:
    """What reaches the operator's OpenStack clouds."""
    return OpenStackAccess(_cloud_context(settings, secrets, clock))


def cloud_store(secrets: Secrets, database: Database) -> CloudStore:
    """The clouds' nodes in rows, with their credentials sealed."""
    return CloudStore(database, secrets.sealer("umbel clouds' credentials 1"))


def _cloud_context(settings: Settings, secrets: Secrets, clock: Clock) -> CloudContext:
    return CloudContext(
        installation=secrets.installation,
        images=image_folder(settings.data_dir),
        clock=clock,
        files=(secrets.public_key_file,),
    )


def _cloud_pools(
    document: object, around: CloudContext, secrets: Secrets, database: Database
) -> dict[str, Vim]:
    """The VIM of each pool of clouds' nodes; one is there without being named."""
    names = _pools_of(VimKind.OPENSTACK, document, CLOUDS_POOL)
    nodes = cloud_store(secrets, database)
    return {name: OpenStackVim(name, nodes, around) for name in names}


def _pools_of(kind: VimKind, document: object, unnamed: str) -> set[str]:
    """The pools of that kind that the document names, and the one that is there without it."""
    inventory, _, _ = read_network(document)
    named = {name for name, one in inventory.pools.items() if one is kind}
    return named | ({unnamed} - inventory.pools.keys())


def _hosts_pools(
    document: object, secrets: Secrets, clock: Clock, machines: MachineStore
) -> dict[str, Vim]:
    """The VIM of each pool of machines; one is there without being named."""
    names = _pools_of(VimKind.HOSTS, document, HOSTS_POOL)
    around = Surroundings(
        key=keys.derive(secrets.master), clock=clock, files=(secrets.public_key_file,)
    )
    return {name: SshVim(name, machines, around) for name in names}


def _pools(document: object, data_dir: Path, clock: Clock, executor: Executor) -> dict[str, Vim]:
    """The VIM of each pool that the document names, without the default pool."""
    inventory, _, _ = read_network(document)
    named = {
        name: kind
        for name, kind in inventory.pools.items()
        if name != DEFAULT_POOL and kind in {VimKind.PROCESS, VimKind.FAKE}
    }
    return {
        name: ProcessVim(data_dir / "pools" / name, clock, executor=executor, forks=FORKED_MEDIA)
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
