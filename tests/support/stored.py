"""A repository over a database and a storage, for tests."""

from umbel.kit.clock import Clock
from umbel.kit.db import Database
from umbel.playout.files import Files
from umbel.playout.store import FileStore
from umbel.repository.ports import Storage
from umbel.repository.resumable import ResumableUploads
from umbel.repository.searches.store import SearchStore
from umbel.repository.service import Repository
from umbel.repository.store import Quota, RepositoryStore
from umbel.repository.transfers.service import Transfers
from umbel.repository.transfers.store import TransferStore
from umbel.repository.upkeep.service import Upkeep
from umbel.repository.upkeep.store import UpkeepStore
from umbel.repository.uploads import Uploads

URL_S = 100.0
QUOTA = Quota(items=100, bytes=1 << 30)


async def _held(_name: str) -> bool:
    return True


def repository(
    database: Database, storage: Storage, clock: Clock, quota: Quota = QUOTA
) -> Repository:
    """One whose lease is always held."""
    store = RepositoryStore(database, quota)
    return Repository(
        store=store,
        searches=SearchStore(database),
        storage=storage,
        transfers=Transfers(store=TransferStore(database), clock=clock, ttl_s=URL_S),
        uploads=Uploads(store=store, storage=storage, clock=clock),
        upkeep=Upkeep(
            store=store, rows=UpkeepStore(database), storage=storage, clock=clock, lease=_held
        ),
        clock=clock,
    )


def files_of(kept: Repository, database: Database) -> Files:
    """Providers' files in that repository."""
    return Files(
        store=FileStore(database),
        resumable=ResumableUploads(repository=kept, uploads=kept.uploads, clock=kept.clock),
        clock=kept.clock,
    )
