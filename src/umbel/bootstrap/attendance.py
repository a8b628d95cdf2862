"""Wires the counting of viewers, and the forecasts of how many will come."""

from typing import NamedTuple

from umbel.bootstrap.services import Context
from umbel.delivery.attendance import service as attendance_service
from umbel.delivery.attendance.service import AttendanceService
from umbel.delivery.demand import service as demand_service
from umbel.delivery.demand.service import DemandService
from umbel.delivery.loop.controller import DeliveryController
from umbel.kit.leases import Leases


class Audience(NamedTuple):
    """Who watched what, and who is expected to."""

    attendance: AttendanceService
    demand: DemandService


def audience(context: Context, loop: DeliveryController) -> Audience:
    """Both. Predictions are there a little before they are needed."""

    def leases(ttl_s: float) -> Leases:
        return Leases(context.database, context.clock, context.owner, ttl_s)

    attendance = AttendanceService(
        database=context.database,
        delivery=loop.store,
        catalogue=context.catalogue,
        journal=context.journal,
        leases=leases(attendance_service.LEASE_S),
        clock=context.clock,
        functions=lambda: loop.collector.streams,
    )
    demand = DemandService(
        database=context.database,
        catalogue=context.catalogue,
        sessions=loop.store,
        nodes=loop.collector.compute.nodes,
        leases=leases(demand_service.LEASE_S),
        clock=context.clock,
        horizon_s=max(loop.ahead.lead_s, loop.ahead.horizon_s) + 3 * DemandService.every_s,
    )
    return Audience(attendance, demand)
