"""Recordings, wired. Neighbour: services.py has all others."""

from umbel.bootstrap.services import Context
from umbel.delivery.loop.controller import DeliveryController
from umbel.delivery.replays.service import ReplayEdges
from umbel.delivery.service import Delivery
from umbel.delivery.thumbnails import NoThumbnail
from umbel.kit.leases import Leases
from umbel.recordings.capturing import LEASE_S, Capturing
from umbel.recordings.feeding import Feeding
from umbel.recordings.service import Recordings
from umbel.recordings.service import recordings as served
from umbel.recordings.storyboards.service import Storyboards
from umbel.repository.service import Repository

_MIB = 2**20


def recordings(context: Context, delivery: Delivery, repository: Repository) -> Recordings:
    """What viewers keep of events; delivery has a recorder for what is wanted."""

    async def take_picture(event_id: str) -> bytes | None:
        try:
            return (await delivery.thumbnail(event_id)).jpeg
        except NoThumbnail:
            return None

    capturing = Capturing(
        database=context.database,
        catalogue=context.catalogue,
        repository=repository,
        storyboards=Storyboards(
            database=context.database, repository=repository, take_picture=take_picture
        ),
        running=delivery.recorders,
        recorders=context.drivers.recorders,
        clock=context.clock,
        leases=Leases(context.database, context.clock, context.owner, LEASE_S),
        changed=delivery.recorders.demand_changed,
        quota_bytes=context.settings.recordings_mb * _MIB,
    )
    delivery.recorders.recordings.demand = capturing
    return served(capturing, repository, capturing.quota_bytes)


def replay_edges(context: Context, loop: DeliveryController) -> ReplayEdges:
    """Which edges serve viewers of recordings."""
    return ReplayEdges(store=loop.replays, controller=loop, clock=context.clock)


def feeding(context: Context, edges: ReplayEdges, recordings: Recordings) -> Feeding:
    """What gives these edges the pieces that they lack."""
    made = Feeding(
        database=context.database,
        replays=recordings.replays,
        edges=edges,
        caches=context.drivers.replay_caches,
        clock=context.clock,
        home=context.settings.public_url,
    )
    edges.changed = made.look_again
    return made
