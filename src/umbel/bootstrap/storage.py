"""Storage functions, wired: which nodes the settings name, and where those keep shards."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from umbel.bootstrap.services import Context
from umbel.compute.machines.model import HOSTS_POOL
from umbel.compute.model import DEFAULT_POOL, Node, VimKind
from umbel.compute.service import Compute
from umbel.kit.config import NODE_SCHEME, Settings, shard_places
from umbel.kit.leases import Leases
from umbel.storage.functions import described
from umbel.storage.model import ShardPlace
from umbel.storage.service import StorageFunctions

_LEASE_S = 20.0
_MIB = 2**20


def storage_functions(context: Context, compute: Compute) -> StorageFunctions:
    """Those that the settings name."""
    settings, secrets = context.settings, context.secrets
    folder = settings.storage_folder or (settings.data_dir / "storage").resolve()
    return StorageFunctions(
        compute=compute,
        leases=Leases(context.database, context.clock, context.owner, _LEASE_S),
        places=places(settings),
        description=described(folder / secrets.installation, settings.storage_mb),
        limit_bytes=settings.storage_mb * _MIB,
        function_id=lambda node: f"storage-{node}-{secrets.installation[:8]}",
        secret_of=secrets.of_function,
        unfit=unfit_by(context.nodes.pools, settings.storage_folder),
    )


def places(settings: Settings) -> Sequence[ShardPlace]:
    """The nodes that the settings name, each with the number of its shard."""
    return tuple(
        ShardPlace(node=named.removeprefix(NODE_SCHEME), number=number)
        for number, named in enumerate(shard_places(settings.repository_shards))
        if named.startswith(NODE_SCHEME)
    )


def unfit_by(pools: Mapping[str, VimKind], folder: Path | None) -> Callable[[Node], str]:
    """Says why a node cannot keep shards, of the kinds of its network's pools and the folder that
    the settings name; empty where it can."""
    kinds = {DEFAULT_POOL: VimKind.PROCESS, HOSTS_POOL: VimKind.HOSTS, **pools}

    def unfit(node: Node) -> str:
        kind = kinds.get(node.pool)
        if kind is VimKind.HOSTS and folder is None:
            return "Set `UMBEL_STORAGE_FOLDER` to a folder of the node's machine"
        if kind not in (VimKind.PROCESS, VimKind.HOSTS):
            return "What functions of this node keep is lost with them: name another node"
        return ""

    return unfit
