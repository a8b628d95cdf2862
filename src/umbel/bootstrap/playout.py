"""Files of providers and their playout, wired. Neighbour: services.py has all others."""

from contextlib import suppress

from umbel.bootstrap.services import Context
from umbel.catalogue.model import EventEvent
from umbel.delivery.service import Delivery
from umbel.kit.errors import Conflict
from umbel.kit.leases import Leases
from umbel.playout import checks, service
from umbel.playout.checks import Checks
from umbel.playout.files import Files
from umbel.playout.sending import Sender
from umbel.playout.service import Playouts
from umbel.playout.store import FileStore, PlayoutStore
from umbel.playout.worker import Workers
from umbel.repository.resumable import ResumableUploads
from umbel.repository.service import Repository


def playouts(context: Context, delivery: Delivery, repository: Repository) -> Playouts:
    """Files, their checks, and what streams them."""
    database, clock, settings = context.database, context.clock, context.settings
    workers = Workers(
        repository=repository,
        memory_mb=settings.worker_memory_mb,
        most_pixels=settings.most_pixels,
    )
    files = Files(
        store=FileStore(database),
        resumable=ResumableUploads(repository=repository, uploads=repository.uploads, clock=clock),
        clock=clock,
    )
    checking = Checks(
        files=files,
        workers=workers,
        clock=clock,
        lease=Leases(database, clock, context.owner, checks.LEASE_S).acquire,
    )
    files.arrived = checking.wake
    store = PlayoutStore(database)

    async def end_event(event_id: str) -> None:
        with suppress(Conflict):  # somebody else ended it
            await context.catalogue.transition(event_id, EventEvent.END)
        await delivery.end(event_id)

    sender = Sender(
        store=store,
        repository=repository,
        ingest=delivery,
        workers=workers,
        key_of=context.secrets.playout_key,
        end_event=end_event,
        clock=clock,
    )
    return Playouts(
        store=store,
        files=files,
        checks=checking,
        catalogue=context.catalogue,
        sender=sender,
        leases=Leases(database, clock, context.owner, service.LEASE_S),
        clock=clock,
    )
