"""A repository over a database and a storage, for tests."""

from support.delivery import MemoryDelivery
from umbel.catalogue.model import EventEvent
from umbel.kit.clock import Clock
from umbel.kit.db import Database
from umbel.kit.leases import Leases
from umbel.playout.checks import Checks
from umbel.playout.files import Files
from umbel.playout.sending import Sender
from umbel.playout.service import LEASE_S, Playouts
from umbel.playout.store import FileStore, PlayoutStore
from umbel.playout.worker import Workers
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


def playouts_of(kept: Repository, database: Database, delivery: MemoryDelivery) -> Playouts:
    """What streams files of that repository to the acquirers of that delivery."""
    files, store, clock = files_of(kept, database), PlayoutStore(database), kept.clock
    workers = Workers(repository=kept, memory_mb=1536, most_pixels=4096 * 2304)
    leases = Leases(database, clock, "test", LEASE_S)
    checks = Checks(files=files, workers=workers, clock=clock, lease=_held)

    async def end_event(event_id: str) -> None:
        await delivery.catalogue.transition(event_id, EventEvent.END)

    return Playouts(
        store=store,
        files=files,
        checks=checks,
        catalogue=delivery.catalogue,
        sender=Sender(
            store=store,
            repository=kept,
            ingest=delivery,
            workers=workers,
            key_of=lambda event_id: f"{event_id}.secret",
            end_event=end_event,
            clock=clock,
        ),
        leases=leases,
        clock=clock,
    )


def files_of(kept: Repository, database: Database) -> Files:
    """Providers' files in that repository."""
    return Files(
        store=FileStore(database),
        resumable=ResumableUploads(repository=kept, uploads=kept.uploads, clock=kept.clock),
        clock=kept.clock,
    )
