"""Each service, of what it stands on and of its neighbours; what one hears of another.

In: a Context, which all of them stand on. Out: services of the network, of delivery and of the
planner. Nothing begins to run here. Neighbour: system.py puts them together.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from umbel.bootstrap import expected, media_options
from umbel.bootstrap.drivers import (
    Drivers,
    cloud_access,
    cloud_store,
    cluster_access,
    cluster_store,
    hypervisor_access,
    hypervisor_authority,
    hypervisor_store,
    machine_access,
)
from umbel.bootstrap.secrets import Secrets
from umbel.catalogue.service import Catalogue
from umbel.compute.clouds.service import CloudService
from umbel.compute.clusters.service import ClusterService
from umbel.compute.hypervisors.service import HypervisorService
from umbel.compute.machines.service import MachineService
from umbel.compute.machines.store import MachineStore
from umbel.compute.model import FunctionState, Instance, Inventory
from umbel.compute.service import Compute
from umbel.delivery.loop import functions
from umbel.delivery.loop.collector import Collector
from umbel.delivery.loop.controller import DeliveryController
from umbel.delivery.loop.functions import MediaFunctions
from umbel.delivery.loop.recordings import Recordings
from umbel.delivery.loop.streams import FLEET
from umbel.delivery.loop.timing import Timing
from umbel.delivery.moves.replacement import EdgeReplacement
from umbel.delivery.moves.service import FunctionMoves
from umbel.delivery.moves.store import MoveStore
from umbel.delivery.node_service import NodeService
from umbel.delivery.nodes.model import NetworkFile
from umbel.delivery.nodes.store import NodeStore
from umbel.delivery.policy.base import Policy
from umbel.delivery.policy.consolidation import Consolidation
from umbel.delivery.policy.qos import Qos
from umbel.delivery.policy.sls import Sls
from umbel.delivery.policy.virca import Virca
from umbel.delivery.prepared.service import PreparedFunctions
from umbel.delivery.prepared.store import PreparedStore
from umbel.delivery.recorder_service import RecorderService
from umbel.delivery.replays.store import ReplayStore
from umbel.delivery.service import Delivery
from umbel.delivery.service_reports import ServiceReports
from umbel.delivery.steering.service import Planning, PlanPace
from umbel.delivery.store import DeliveryStore
from umbel.delivery.thumbnails import Thumbnails
from umbel.delivery.traces.file import TraceFile
from umbel.delivery.traces.follow import Tracing
from umbel.delivery.trees.view import Costs
from umbel.inline.service import OWNER as INLINE
from umbel.inline.service import InlineGuests
from umbel.kit.clock import Clock
from umbel.kit.config import Settings
from umbel.kit.db import Database
from umbel.kit.journal import Journal
from umbel.kit.leases import Leases
from umbel.media.service import Media
from umbel.mobility.live import LiveMover
from umbel.mobility.model import MigrationKind
from umbel.mobility.ports import FunctionOwner
from umbel.mobility.replacement import ReplacementMover
from umbel.mobility.rule_store import MigrationRules
from umbel.mobility.service import MOVES_KEPT_S, Mobility
from umbel.mobility.store import MigrationStore
from umbel.network.service import Event, Location, Network, event_body, event_subject
from umbel.notify.model import Kind, Place
from umbel.notify.service import Notifier
from umbel.notify.store import NotifyStore
from umbel.planner.control import Periods
from umbel.plans.live import LiveDemand
from umbel.plans.service import Plans
from umbel.plans.store import PlanStore
from umbel.schedule.service import Schedule
from umbel.storage.service import OWNER as STORAGE

POLICIES: dict[str, Policy] = {p.name: p for p in (Sls(), Consolidation(), Qos(), Virca())}

Observer = Callable[[Mapping[str, Instance]], None]
"""Hears which functions there are, by id, again and again."""

_SECRETS_KEPT = 4096
"""Functions whose secret is kept once it was derived: each look asks for that of each function."""


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
        sealer=context.secrets.sealer("umbel subscribers' secrets 1"),
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


def machines(context: Context) -> MachineService:
    """The operator's own machines."""
    return MachineService(
        store=MachineStore(context.database),
        access=machine_access(context.secrets, context.settings.data_dir),
        clock=context.clock,
    )


def hypervisors(context: Context) -> HypervisorService:
    """The operator's hypervisors."""
    return HypervisorService(
        store=hypervisor_store(context.document, context.database),
        access=hypervisor_access(context.settings, context.secrets, context.clock),
        authority=hypervisor_authority(context.secrets),
        clock=context.clock,
    )


def clusters(context: Context) -> ClusterService:
    """The nodes of the operator's Kubernetes clusters."""
    return ClusterService(
        store=cluster_store(context.secrets, context.database),
        access=cluster_access(context.secrets, context.clock),
    )


def clouds(context: Context) -> CloudService:
    """The nodes in the operator's OpenStack clouds."""
    return CloudService(
        store=cloud_store(context.secrets, context.database),
        access=cloud_access(context.settings, context.secrets, context.clock),
    )


# -- delivery -------------------------------------------------------------------------------


def collector(context: Context) -> Collector:
    """What is seen of nodes, links, functions and streams."""
    drivers, secrets, costs = context.drivers, context.secrets, Costs()
    return Collector(
        compute=Compute(
            context.nodes,
            drivers.vim,
            context.clock,
            owners=[functions.OWNER, INLINE, STORAGE, *drivers.owners],
            pools=drivers.pools,
            wake_s=context.settings.node_wake_s,
        ),
        network=context.network,
        media=Media(drivers.media),
        store=DeliveryStore(context.database),
        media_functions=MediaFunctions(
            descriptions=functions.described(
                secrets.public_key_file, costs, options=media_options.of(context.settings)
            ),
            secret_of=lru_cache(_SECRETS_KEPT)(secrets.of_function),
            srtp_key_of=secrets.srtp_key if context.settings.srtp else lambda _: b"",
        ),
        costs=costs,
        has_power_model=context.settings.policy == Virca.name,
    )


def controller(
    context: Context, collector: Collector, observe: Observer, timing: Timing | None
) -> DeliveryController:
    """The loop, by the policy that the settings name; `timing` is theirs where none is given."""
    timing, policy = timing or _timing(context.settings), POLICIES[context.settings.policy]
    catalogue, clock = context.catalogue, context.clock
    return DeliveryController(
        catalogue=catalogue,
        store=collector.store,
        prepared=PreparedStore(context.database),
        replays=ReplayStore(context.database),
        collector=collector,
        policy=policy,
        recordings=Recordings(collector=collector, clock=clock),
        ahead=expected.ahead(
            context.settings, catalogue, context.database, collector, policy, clock
        ),
        clock=clock,
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
        thumbnails=Thumbnails(loop.collector, context.clock),
        recorders=RecorderService(
            store=loop.store, recordings=loop.recordings, changed=loop.changed, wake=loop.wake
        ),
        planning=_planning(context, loop),
        tracing=_tracing(context, loop.collector),
    )


def prepared_functions(context: Context, loop: DeliveryController) -> PreparedFunctions:
    """What runs in advance."""
    return PreparedFunctions(
        store=loop.prepared,
        collector=loop.collector,
        clock=context.clock,
        wake=lambda: loop.wake(FLEET),
    )


def node_service(context: Context, loop: DeliveryController) -> NodeService:
    """The nodes that operators change."""
    inventory, topology = context.nodes, context.network.topology.current()
    switches, overlay = context.network.switches, context.drivers.overlay
    return NodeService(
        file=NetworkFile(
            inventory=inventory,
            topology=topology,
            default_access=inventory.default_access or inventory.nodes[0].name,
            sites=dict(switches.sites) if switches is not None else None,
            in_namespaces=overlay is not None and bool(overlay.namespaces),
        ),
        store=NodeStore(context.database),
        prepared=loop.prepared,
        collector=loop.collector,
        catalogue=context.catalogue,
        clock=context.clock,
        changed=loop.wake_all,
    )


def inline_guests(context: Context, loop: DeliveryController) -> InlineGuests:
    """The in-line functions that the platform runs."""
    leases = Leases(context.database, context.clock, context.owner, loop.timing.lease_s)
    return InlineGuests(compute=loop.collector.compute, network=context.network, leases=leases)


def mobility(context: Context, loop: DeliveryController, inline: InlineGuests) -> Mobility:
    """Moves of functions; compute leaves alone what they move."""
    compute, store = loop.collector.compute, MigrationStore(context.database)
    compute.moving.moves = lambda: store.moves(context.clock.now_s() - MOVES_KEPT_S)
    own = FunctionMoves(
        store=loop.store,
        moved=MoveStore(context.database),
        collector=loop.collector,
        controller=loop,
        clock=context.clock,
    )
    owners: dict[str, FunctionOwner] = {functions.OWNER: own, INLINE: inline}
    edges = EdgeReplacement(
        store=loop.store, collector=loop.collector, controller=loop, clock=context.clock
    )
    live = LiveMover(compute=compute, owners=owners, paths=context.network.guest_moves)
    return Mobility(
        store=store,
        rules=MigrationRules(context.database, context.clock),
        compute=compute,
        owners=owners,
        movers={
            MigrationKind.FULL_TRANSFER: live,
            MigrationKind.SHARED_STORAGE: live,
            MigrationKind.REPLACEMENT: ReplacementMover(
                compute=compute, owners={functions.OWNER: edges}
            ),
        },
        ways=own,
        clock=context.clock,
        leases=Leases(context.database, context.clock, context.owner, loop.timing.lease_s),
        on_close=live.close,
    )


def service_reports(context: Context, loop: DeliveryController) -> ServiceReports:
    """What providers were promised, and what was kept."""
    return ServiceReports(
        catalogue=context.catalogue, store=loop.store, journal=context.journal, clock=context.clock
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
