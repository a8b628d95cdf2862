"""Each service, of what it stands on and of its neighbours; what one hears of another.

In: a Context, which all of them stand on. Out: services of the network, of delivery and of the
planner. Nothing begins to run here. Neighbour: system.py puts them together.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from umbel.bootstrap.drivers import Drivers
from umbel.bootstrap.secrets import Secrets
from umbel.catalogue.service import Catalogue
from umbel.compute.model import FunctionState, Instance, Inventory
from umbel.compute.service import Compute
from umbel.delivery.loop import functions
from umbel.delivery.loop.collector import Collector
from umbel.delivery.loop.controller import DeliveryController
from umbel.delivery.loop.functions import MediaFunctions
from umbel.delivery.loop.timing import Timing
from umbel.delivery.node_service import NodeService
from umbel.delivery.nodes.model import NetworkFile
from umbel.delivery.nodes.store import NodeStore
from umbel.delivery.policy.base import Policy
from umbel.delivery.policy.consolidation import Consolidation
from umbel.delivery.policy.qos import Qos
from umbel.delivery.policy.sls import Sls
from umbel.delivery.policy.virca import Virca
from umbel.delivery.service import Delivery
from umbel.delivery.steering.service import Planning, PlanPace
from umbel.delivery.store import DeliveryStore
from umbel.delivery.traces.file import TraceFile
from umbel.delivery.traces.follow import Tracing
from umbel.delivery.trees.view import Costs
from umbel.kit.clock import Clock
from umbel.kit.config import Settings
from umbel.kit.db import Database
from umbel.kit.journal import Journal
from umbel.kit.leases import Leases
from umbel.media.service import Media
from umbel.network.service import Event, Location, Network, event_body, event_subject
from umbel.notify.model import Kind, Place
from umbel.notify.sealing import Sealer
from umbel.notify.service import Notifier
from umbel.notify.store import NotifyStore
from umbel.planner.control import Periods
from umbel.plans.live import LiveDemand
from umbel.plans.service import Plans
from umbel.plans.store import PlanStore
from umbel.schedule.service import Schedule

POLICIES: dict[str, Policy] = {p.name: p for p in (Sls(), Consolidation(), Qos(), Virca())}

Observer = Callable[[Mapping[str, Instance]], None]
"""Hears which functions there are, by id, again and again."""


@dataclass(frozen=True, kw_only=True)
class Context:
    """What all services stand on. `document` is the network file's, `nodes` what it
    says of nodes, `network` what carries streams; `owner` is this instance of the control plane."""

    settings: Settings
    document: object
    nodes: Inventory
    network: Network
    secrets: Secrets
    drivers: Drivers
    clock: Clock
    database: Database
    journal: Journal
    catalogue: Catalogue
    owner: str


# -- the network ----------------------------------------------------------------------------


def notifier(context: Context) -> Notifier:
    """Observers' callbacks; they hear what becomes of the network."""
    made = Notifier(
        store=NotifyStore(context.database),
        journal=context.journal,
        courier=context.drivers.courier,
        sealer=Sealer(context.secrets.master),
        clock=context.clock,
        owner=context.owner,
    )

    def publish(event: Event) -> None:
        made.publish(Kind(event.kind), event_subject(event), event_body(event))

    context.network.watch(publish)
    return made


def observers(notifier: Notifier, network: Network) -> Observer:
    """Report functions that run to observers, and to the streams that pass them."""

    def observe(seen: Mapping[str, Instance]) -> None:
        active = [one for one in seen.values() if one.state is FunctionState.ACTIVE]
        notifier.observe({one.id: Place(node=one.node, role=one.description) for one in active})
        network.operator.functions.observe(
            {one.id: Location(node=one.node, address=one.address) for one in active}
        )

    return observe


# -- delivery -------------------------------------------------------------------------------


def collector(context: Context) -> Collector:
    """What is seen of nodes, links, functions and streams."""
    drivers, secrets, costs = context.drivers, context.secrets, Costs()
    return Collector(
        compute=Compute(
            context.nodes,
            drivers.vim,
            context.clock,
            owners=[functions.OWNER, *drivers.owners],
            pools=drivers.pools,
            wake_s=context.settings.node_wake_s,
        ),
        network=context.network,
        media=Media(drivers.media),
        store=DeliveryStore(context.database),
        media_functions=MediaFunctions(
            descriptions=functions.described(
                secrets.public_key_file, costs, options=_media_options(context.settings)
            ),
            secret_of=secrets.of_function,
        ),
        costs=costs,
        has_power_model=context.settings.policy == Virca.name,
    )


def _media_options(settings: Settings) -> tuple[str, ...]:
    """Options of every media server that the settings decide."""
    return (
        *("--most-pixels", str(settings.most_pixels)),
        *("--worker-memory-mb", str(settings.worker_memory_mb)),
        *("--connections-per-address", str(settings.connections_per_address)),
    )


def controller(
    context: Context, collector: Collector, observe: Observer, timing: Timing | None
) -> DeliveryController:
    """The loop, by the policy that the settings name; `timing` is theirs where none is given."""
    timing = timing or _timing(context.settings)
    return DeliveryController(
        catalogue=context.catalogue,
        store=collector.store,
        collector=collector,
        policy=POLICIES[context.settings.policy],
        clock=context.clock,
        timing=timing,
        leases=Leases(context.database, context.clock, context.owner, timing.lease_s),
        on_functions=observe,
    )


def delivery(context: Context, loop: DeliveryController) -> Delivery:
    """Trees and sessions."""
    nodes = node_service(context, loop)
    return Delivery(
        catalogue=context.catalogue,
        store=loop.store,
        collector=loop.collector,
        controller=loop,
        journal=context.journal,
        signer=context.secrets.signer,
        default_access_node=nodes.file.default_access,
        nodes=nodes,
        planning=_planning(context, loop),
        tracing=_tracing(context, loop.collector),
    )


def node_service(context: Context, loop: DeliveryController) -> NodeService:
    """The nodes that operators change."""
    inventory, topology = context.nodes, context.network.topology.current()
    return NodeService(
        file=NetworkFile(
            inventory=inventory,
            topology=topology,
            default_access=inventory.default_access or inventory.nodes[0].name,
        ),
        store=NodeStore(context.database),
        collector=loop.collector,
        catalogue=context.catalogue,
        clock=context.clock,
        changed=loop.wake_all,
    )


def schedule(context: Context, loop: DeliveryController) -> Schedule:
    """What is due."""
    return Schedule(catalogue=context.catalogue, clock=context.clock, ended=loop.wake)


def _timing(settings: Settings) -> Timing:
    return Timing(
        linger_s=settings.linger_s,
        session_idle_s=settings.session_idle_s,
        session_ttl_s=settings.session_ttl_s,
    )


def _tracing(context: Context, collector: Collector) -> Tracing | None:
    """What writes a trace of all that happens, where the settings name a file."""
    if context.settings.trace_file is None:
        return None
    return Tracing(
        file=TraceFile(context.settings.trace_file),
        store=collector.store,
        journal=context.journal,
        catalogue=context.catalogue,
        collector=collector,
        clock=context.clock,
    )


# -- the planner ----------------------------------------------------------------------------


def plans(context: Context, delivery: Delivery) -> Plans:
    """Plans on request."""
    collector = delivery.collector
    watched = LiveDemand(store=collector.store, collector=collector, clock=context.clock)
    return Plans(
        store=PlanStore(context.database),
        journal=context.journal,
        clock=context.clock,
        platform=lambda: delivery.nodes.document(context.document),
        watched=watched.rows,
    )


def _planning(context: Context, loop: DeliveryController) -> Planning | None:
    """What steers by plans, for the policy that needs it."""
    settings = context.settings
    if settings.policy != Virca.name:
        return None
    periods = Periods(
        sample_s=settings.plan_sample_s,
        rca_s=settings.plan_rca_s,
        virca_s=settings.plan_virca_s,
    )
    return Planning(
        collector=loop.collector,
        controller=loop,
        solver=context.drivers.solver,
        clock=context.clock,
        pace=PlanPace(periods=periods, solve_s=settings.plan_solve_s, gamma=settings.plan_gamma),
    )
