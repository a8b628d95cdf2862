"""Wires the counting of viewers."""

from umbel.bootstrap.services import Context
from umbel.delivery.attendance.service import LEASE_S, AttendanceService
from umbel.delivery.loop.controller import DeliveryController
from umbel.kit.leases import Leases


def attendance(context: Context, loop: DeliveryController) -> AttendanceService:
    """Who watched what."""
    return AttendanceService(
        database=context.database,
        delivery=loop.store,
        catalogue=context.catalogue,
        journal=context.journal,
        leases=Leases(context.database, context.clock, context.owner, LEASE_S),
        clock=context.clock,
    )
