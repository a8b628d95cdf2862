"""The repository, wired: where the settings say that bytes are kept. Neighbour: services.py has all
others."""

from pathlib import Path

from umbel.bootstrap.services import Context
from umbel.kit.config import Settings
from umbel.kit.leases import Leases
from umbel.repository.drivers.files import FileStorage
from umbel.repository.drivers.shards import ShardStorage
from umbel.repository.ports import Storage
from umbel.repository.searches.store import SearchStore
from umbel.repository.service import Repository
from umbel.repository.store import Quota, RepositoryStore
from umbel.repository.transfers.service import Transfers
from umbel.repository.transfers.store import TransferStore
from umbel.repository.upkeep.service import LEASE_S, Upkeep
from umbel.repository.upkeep.store import UpkeepStore
from umbel.repository.uploads import Uploads

_MIB = 2**20


def repository(context: Context) -> Repository:
    """Recorded media and any other content."""
    settings, database, clock = context.settings, context.database, context.clock
    quota = Quota(items=settings.repository_items, bytes=settings.repository_mb * _MIB)
    store, storage = RepositoryStore(database, quota), _storage(context)
    leases = Leases(database, clock, context.owner, LEASE_S)
    return Repository(
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


def _storage(context: Context) -> Storage:
    if context.drivers.storage is not None:
        return context.drivers.storage
    return real_storage(context.settings, context.secrets.installation)


def real_storage(settings: Settings, installation: str) -> Storage:
    """What the settings name. A folder that they name may be of several installations: each has one
    of its own inside."""
    places = [one.strip() for one in settings.repository_shards.split(",") if one.strip()]
    if places:
        shards = [FileStorage(Path(one) / installation) for one in places]
        return ShardStorage(shards, settings.repository_parity)
    if settings.repository_folder is None:
        return FileStorage(settings.data_dir / "repository")
    return FileStorage(settings.repository_folder / installation)
