"""The repository, wired: where the settings say that bytes are kept. Neighbour: services.py has all
others."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from umbel.bootstrap.services import Context
from umbel.bootstrap.storage import storage_functions
from umbel.compute.service import Compute
from umbel.kit.config import NODE_SCHEME, Settings, shard_places
from umbel.kit.leases import Leases
from umbel.repository.drivers.files import FileStorage
from umbel.repository.drivers.s3 import Access, Bucket, S3Storage
from umbel.repository.ports import Storage
from umbel.repository.searches.store import SearchStore
from umbel.repository.service import Repository
from umbel.repository.store import Quota, RepositoryStore
from umbel.repository.transfers.service import Transfers
from umbel.repository.transfers.store import TransferStore
from umbel.repository.upkeep.service import LEASE_S, Upkeep
from umbel.repository.upkeep.store import UpkeepStore
from umbel.repository.uploads import Uploads
from umbel.storage.service import StorageFunctions

_MIB = 2**20


class Kept(NamedTuple):
    """Recorded media and any other content, and the nodes that keep shards of it."""

    repository: Repository
    storage_functions: StorageFunctions


def repository(context: Context, compute: Compute) -> Kept:
    """The repository over what the settings name. A node that is back is looked over."""
    functions = storage_functions(context, compute)
    settings, database, clock = context.settings, context.database, context.clock
    quota = Quota(items=settings.repository_items, bytes=settings.repository_mb * _MIB)
    store, storage = RepositoryStore(database, quota), _storage(context, functions)
    leases = Leases(database, clock, context.owner, LEASE_S)
    made = Repository(
        store=store,
        searches=SearchStore(database),
        storage=storage,
        transfers=Transfers(
            store=TransferStore(database), clock=clock, ttl_s=settings.repository_url_s
        ),
        uploads=Uploads(store=store, storage=storage, clock=clock),
        upkeep=Upkeep(
            store=store,
            rows=UpkeepStore(database),
            storage=storage,
            clock=clock,
            lease=leases.acquire,
        ),
        clock=clock,
    )
    functions.on_return = made.upkeep.sweep_soon
    return Kept(made, functions)


def _storage(context: Context, functions: StorageFunctions) -> Storage:
    if context.drivers.storage is not None:
        return context.drivers.storage
    return real_storage(context.settings, context.secrets.installation, functions.storages)


def real_storage(
    settings: Settings, installation: str, nodes: Mapping[str, Storage] = MappingProxyType({})
) -> Storage:
    """What the settings name; `nodes` are the storages of nodes by name. A folder or bucket that
    they name may be of several installations: each has a part of its own. Raises BadBucket."""
    places = shard_places(settings.repository_shards)
    if places:
        # It loads numpy, a tenth of a whole start, and most installations have one place.
        from umbel.repository.drivers.shards import ShardStorage  # noqa: PLC0415

        shards = [
            nodes[one.removeprefix(NODE_SCHEME)]
            if one.startswith(NODE_SCHEME)
            else _place(one, settings, installation)
            for one in places
        ]
        return ShardStorage(shards, settings.repository_parity)
    if settings.repository_bucket:
        return _place(settings.repository_bucket, settings, installation)
    if settings.repository_folder is not None:
        return _place(str(settings.repository_folder), settings, installation)
    return FileStorage(settings.data_dir / "repository")


def _place(named: str, settings: Settings, installation: str) -> Storage:
    if "://" not in named:
        return FileStorage(Path(named) / installation)
    access = Access(
        key=settings.repository_s3_key,
        secret=settings.repository_s3_secret,
        region=settings.repository_s3_region,
    )
    return S3Storage(Bucket.parse(named).inside(installation), access)
