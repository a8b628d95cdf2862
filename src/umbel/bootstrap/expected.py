"""Wires what is made before events start."""

from umbel.catalogue.service import Catalogue
from umbel.delivery.loop.ahead import Ahead
from umbel.delivery.loop.collector import Collector
from umbel.delivery.policy.base import Policy
from umbel.delivery.policy.virca import Virca
from umbel.kit.clock import Clock
from umbel.kit.config import Settings
from umbel.kit.db import Database


def ahead(
    settings: Settings,
    catalogue: Catalogue,
    database: Database,
    collector: Collector,
    policy: Policy,
    clock: Clock,
) -> Ahead:
    """Expected viewers. A planner looks once in a while, and reads of events until it looks
    again."""
    is_planned = settings.policy == Virca.name
    return Ahead(
        catalogue=catalogue,
        database=database,
        collector=collector,
        policy=policy,
        clock=clock,
        lead_s=settings.demand_lead_s,
        grace_s=settings.demand_grace_s,
        horizon_s=settings.demand_lead_s + settings.plan_rca_s if is_planned else 0.0,
    )
