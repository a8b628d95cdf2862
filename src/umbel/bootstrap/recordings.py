"""Recordings, wired. Neighbour: services.py has all others."""

from collections.abc import Mapping

from umbel.bootstrap.services import Context
from umbel.delivery.loop.controller import DeliveryController
from umbel.kit.leases import Leases
from umbel.recordings.capturing import LEASE_S, Capturing
from umbel.recordings.ports import RecorderAt
from umbel.recordings.service import Recordings
from umbel.recordings.service import recordings as served
from umbel.repository.service import Repository

_MIB = 2**20


class _NoRecorders:
    """Delivery places none yet."""

    def recorders(self) -> Mapping[str, RecorderAt]:
        return {}


def recordings(context: Context, loop: DeliveryController, repository: Repository) -> Recordings:
    """What viewers keep of events."""
    capturing = Capturing(
        database=context.database,
        catalogue=context.catalogue,
        repository=repository,
        running=_NoRecorders(),
        recorders=context.drivers.recorders,
        clock=context.clock,
        leases=Leases(context.database, context.clock, context.owner, LEASE_S),
        changed=loop.wake,
        quota_bytes=context.settings.recordings_mb * _MIB,
    )
    return served(capturing, repository, capturing.quota_bytes)
