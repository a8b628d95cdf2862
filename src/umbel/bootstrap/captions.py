"""What reads what is said in events. In: a Context and the loop. Out: a CaptionReader."""

from umbel.bootstrap.services import Context
from umbel.delivery.captions import LEASE_S, CaptionReader
from umbel.delivery.loop.controller import DeliveryController
from umbel.kit.leases import Leases


def caption_reader(context: Context, loop: DeliveryController) -> CaptionReader:
    """The reader."""
    return CaptionReader(
        catalogue=context.catalogue,
        store=loop.store,
        collector=loop.collector,
        leases=Leases(context.database, context.clock, context.owner, LEASE_S),
    )
