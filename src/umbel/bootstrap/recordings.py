"""Recordings, wired. Neighbour: services.py has all others."""

from typing import NamedTuple

from umbel.bootstrap.services import Context
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


class RecordingServices(NamedTuple):
    """What records, and what plays recordings from edges."""

    recordings: Recordings
    replay_edges: ReplayEdges
    feeding: Feeding


def recording_services(
    context: Context, delivery: Delivery, repository: Repository
) -> RecordingServices:
    """All of it, wired."""
    made, loop = recordings(context, delivery, repository), delivery.controller
    edges = ReplayEdges(store=loop.replays, controller=loop, clock=context.clock)
    feeding = Feeding(
        database=context.database,
        replays=made.replays,
        edges=edges,
        caches=context.drivers.replay_caches,
        home=context.settings.public_url,
    )
    edges.changed = feeding.look_again
    return RecordingServices(made, edges, feeding)


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
