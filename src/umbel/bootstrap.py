"""The only place that picks drivers and wires services together.

Settings in, a System out. `assemble` for the real thing; the scenarios pass fake drivers.
"""

import hmac
import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from fastapi import FastAPI

from umbel import migrations, overlay
from umbel.catalogue.service import Catalogue
from umbel.compute import inventory
from umbel.compute.drivers.process import ProcessVim
from umbel.compute.drivers.process.places import Here
from umbel.compute.inventory import Inventory
from umbel.compute.model import FunctionState, Instance
from umbel.compute.ports import Vim
from umbel.compute.service import Compute
from umbel.delivery.collector import Collector
from umbel.delivery.drivers.process import ProcessSolver
from umbel.delivery.keeper import Keeper, Pace
from umbel.delivery.planning import Planning, PlanPace
from umbel.delivery.plans.live import LiveDemand
from umbel.delivery.plans.service import Plans
from umbel.delivery.plans.store import PlanStore
from umbel.delivery.policy.base import Policy
from umbel.delivery.policy.consolidation import Consolidation
from umbel.delivery.policy.qos import Qos
from umbel.delivery.policy.sls import Sls
from umbel.delivery.policy.virca import Virca
from umbel.delivery.ports import Solver
from umbel.delivery.service import Delivery
from umbel.delivery.slicing import Slices, Underlay
from umbel.delivery.store import DeliveryStore
from umbel.delivery.tracefile import TraceFile
from umbel.delivery.tracing import Tracing
from umbel.delivery.view import Costs
from umbel.kit import tokens
from umbel.kit.clock import Clock, SystemClock
from umbel.kit.config import Settings
from umbel.kit.db import Database
from umbel.kit.ids import new_id
from umbel.kit.journal import Journal
from umbel.media.drivers.jsonrpc import JsonRpcMedia
from umbel.media.ports import MediaPlane
from umbel.media.service import Media
from umbel.network import events, files, slices, topology
from umbel.network.border_service import BorderService, Land
from umbel.network.drivers.loopback import LoopbackFabric
from umbel.network.guests import Spot
from umbel.network.inspection import Switches
from umbel.network.model import Topology
from umbel.network.northbound import Northbound
from umbel.network.ports import Fabric
from umbel.network.service import Network
from umbel.network.slices import Offer
from umbel.network.store import BorderStore, SliceStore, WishStore
from umbel.network.topology import BadNetwork
from umbel.notify.drivers.http import HttpCourier
from umbel.notify.model import Kind, Place
from umbel.notify.ports import Courier
from umbel.notify.sealing import Sealer
from umbel.notify.service import Notifier
from umbel.notify.store import NotifyStore
from umbel.overlay import Switched
from umbel.planner.control import Periods
from umbel.portal.app import create_app

POLICIES: dict[str, Policy] = {p.name: p for p in (Sls(), Consolidation(), Qos(), Virca())}


@dataclass(frozen=True, kw_only=True)
class Secrets:
    """What only the control plane knows. Files of mode 0600 in the data directory."""

    signer: tokens.Signer
    public_key_file: Path
    master: bytes

    def of_function(self, function_id: str) -> str:
        """What opens a function's control channel: derived, so that it survives a restart."""
        return hmac.new(self.master, function_id.encode(), sha256).hexdigest()


@dataclass(frozen=True, kw_only=True)
class Drivers:
    """The technologies in use."""

    vim: Vim
    media: MediaPlane
    fabric: Fabric
    courier: Courier = field(default_factory=HttpCourier)
    slicing: Underlay | None = None
    switches: Switches | None = None
    overlay: Switched | None = None
    land: Land | None = None
    solver: Solver = field(default_factory=ProcessSolver)


@dataclass(frozen=True, kw_only=True)
class System:
    """Everything, wired."""

    settings: Settings
    database: Database
    journal: Journal
    catalogue: Catalogue
    compute: Compute
    media: Media
    delivery: Delivery
    notifier: Notifier
    slices: Slices
    network: Northbound
    borders: BorderService
    plans: Plans
    secrets: Secrets
    clock: Clock
    overlay: Switched | None = None

    def app(self) -> FastAPI:
        """The front end."""
        return create_app(self)

    @property
    def signer(self) -> tokens.Signer:
        """Makes users' and viewers' tokens."""
        return self.secrets.signer

    @property
    def verifier(self) -> tokens.Verifier:
        """Checks them."""
        return tokens.Verifier(self.secrets.signer.public_key)

    async def start(self) -> None:
        """Take the network's switches, if it has any. Raises ControllerAddressTaken."""
        if self.overlay is not None:
            await self.overlay.start()

    async def close(self) -> None:
        """Let go of everything; functions go on unless the settings say otherwise."""
        await self.plans.close()
        if self.settings.stop_functions_on_exit:
            await self.compute.stop_all()
        await self.slices.close()
        await self.media.close()
        await self.compute.close()
        if self.overlay is not None:
            await self.overlay.close()
        await self.notifier.close()
        await self.database.close()


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[System]:
    """A migrated, wired system on real drivers, started; closed on the way out."""
    system = await assemble(settings)
    try:
        await system.start()
        yield system
    finally:
        await system.close()


async def assemble(
    settings: Settings,
    *,
    drivers: Drivers | None = None,
    clock: Clock | None = None,
    pace: Pace | None = None,
    database: Database | None = None,
) -> System:
    """Build the system; what is not given is the real thing, as the settings say.

    Raises BadNetwork, DatabaseUnavailable, SchemaUnknown.
    """
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    clock = clock or SystemClock()
    document = network_document(settings.network_file)
    nodes, links = read_network(document)
    secrets = load_secrets(settings.data_dir / "keys")
    drivers = drivers or real_drivers(settings, document, secrets, clock)
    database = database or Database(settings.database)
    await migrations.upgrade(database)
    journal = Journal(database)
    catalogue = Catalogue(database, journal, clock)
    store = DeliveryStore(database)
    collector = Collector(
        compute=Compute(nodes, drivers.vim, clock, wake_s=settings.node_wake_s),
        network=Network(links, drivers.fabric),
        media=Media(drivers.media),
        store=store,
        secret_of=secrets.of_function,
        costs=Costs(),
    )
    owner = new_id("cp")
    notifier = Notifier(
        store=NotifyStore(database),
        journal=journal,
        courier=drivers.courier,
        sealer=Sealer(secrets.master),
        clock=clock,
        owner=owner,
    )
    if drivers.switches is not None:
        drivers.switches.watch(lambda event: _publish(notifier, event))
    network = Northbound(links, WishStore(database), clock, drivers.switches)
    keeper = Keeper(
        catalogue=catalogue,
        store=store,
        collector=collector,
        policy=POLICIES[settings.policy],
        clock=clock,
        pace=pace or _pace(settings),
        owner=owner,
        on_functions=lambda seen: _told(seen, notifier, network),
    )
    tracing = None
    if settings.trace_file is not None:
        tracing = Tracing(
            file=TraceFile(settings.trace_file),
            store=store,
            journal=journal,
            catalogue=catalogue,
            collector=collector,
            clock=clock,
        )
    delivery = Delivery(
        catalogue=catalogue,
        store=store,
        collector=collector,
        keeper=keeper,
        journal=journal,
        signer=secrets.signer,
        default_access_node=nodes.default_access or nodes.nodes[0].name,
        planning=_planning(settings, keeper, drivers.solver, clock),
        tracing=tracing,
    )
    watched = LiveDemand(store=store, collector=collector, clock=clock)
    plans = Plans(
        store=PlanStore(database),
        journal=journal,
        clock=clock,
        platform=lambda: document,
        watched=watched.rows,
    )
    kept = Slices(
        store=SliceStore(database),
        trees=store,
        offer=Offer(topology=links, terms=slices.inspect(document)[0]),
        clock=clock,
        under=drivers.slicing,
    )
    if drivers.switches is not None:
        drivers.switches.watch(lambda event: _wake(kept, event))
    return System(
        settings=settings,
        database=database,
        journal=journal,
        catalogue=catalogue,
        compute=collector.compute,
        media=collector.media,
        delivery=delivery,
        notifier=notifier,
        slices=kept,
        network=network,
        borders=BorderService(drivers.land, links, BorderStore(database), clock),
        plans=plans,
        secrets=secrets,
        clock=clock,
        overlay=drivers.overlay,
    )


def network_document(path: Path | None) -> object:
    """What a network file says, or SLS's network without one. Raises BadNetwork."""
    return files.read(path) if path is not None else files.builtin("sls")


def read_network(document: object) -> tuple[Inventory, Topology]:
    """A network document's nodes and links. Raises BadNetwork with every problem of the file."""
    nodes, wrong_nodes = inventory.inspect(document)
    links, wrong_links = topology.inspect(document)
    _, wrong_terms = slices.inspect(document)
    problems = list(dict.fromkeys([*wrong_nodes, *wrong_links, *wrong_terms]))
    if problems:
        many = "a problem" if len(problems) == 1 else f"{len(problems)} problems"
        raise BadNetwork(f"the network file has {many}", problems=problems)
    return nodes, links


def real_drivers(settings: Settings, document: object, secrets: Secrets, clock: Clock) -> Drivers:
    """Functions as processes of this machine. Where the network file tells of switches, streams go
    over them and functions run at the nodes; else all is loopback. Raises BadNetwork, NoTestbed."""
    over = None
    if overlay.described(document):
        nodes, _ = read_network(document)
        over = overlay.switched(document, nodes.nodes, settings, clock, secrets.master)
    vim = ProcessVim(
        settings.data_dir,
        secrets.public_key_file,
        secrets.of_function,
        clock,
        place=over.place if over else Here(),
    )
    return Drivers(
        vim=vim,
        media=JsonRpcMedia(),
        fabric=over.fabric if over else LoopbackFabric(),
        slicing=over.underlay if over else None,
        switches=over.fabric if over else None,
        land=over.land if over else None,
        overlay=over,
    )


def load_secrets(folder: Path) -> Secrets:
    """The keys of this installation, made at the first start."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    signer = tokens.Signer(_kept(folder / "signing.pem", tokens.new_private_key))
    public = folder / "public.pem"
    if not public.exists() or public.read_bytes() != signer.public_key:
        public.write_bytes(signer.public_key)
    master = _kept(folder / "master.key", lambda: os.urandom(32))
    return Secrets(signer=signer, public_key_file=public.resolve(), master=master)


def _kept(path: Path, make: Callable[[], bytes]) -> bytes:
    """The file's bytes; made by whoever comes first when several instances start at once."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_bytes()
    with os.fdopen(descriptor, "wb") as file:
        file.write(made := make())
    return made


def _pace(settings: Settings) -> Pace:
    return Pace(
        linger_s=settings.linger_s,
        session_idle_s=settings.session_idle_s,
        session_ttl_s=settings.session_ttl_s,
    )


def _publish(notifier: Notifier, event: events.Event) -> None:
    notifier.publish(Kind(event.kind), events.subject(event), events.body(event))


def _wake(kept: Slices, event: events.Event) -> None:
    """Slices follow their streams' ways."""
    if isinstance(event, events.PathChanged):
        kept.wake()


def _told(seen: Mapping[str, Instance], notifier: Notifier, network: Northbound) -> None:
    notifier.see(_running(seen))
    spots = (one for one in seen.values() if one.state is FunctionState.ACTIVE)
    network.guests.see({one.id: Spot(node=one.node, address=one.address) for one in spots})


def _running(instances: Mapping[str, Instance]) -> Mapping[str, Place]:
    return {
        one.id: Place(node=one.node, role=one.role.value)
        for one in instances.values()
        if one.state is FunctionState.ACTIVE
    }


def _planning(settings: Settings, keeper: Keeper, solver: Solver, clock: Clock) -> Planning | None:
    """The planner's service, for the policy that needs one."""
    if settings.policy != Virca.name:
        return None
    periods = Periods(
        sample_s=settings.plan_sample_s,
        rca_s=settings.plan_rca_s,
        virca_s=settings.plan_virca_s,
    )
    return Planning(
        collector=keeper.collector,
        keeper=keeper,
        solver=solver,
        clock=clock,
        pace=PlanPace(periods=periods, solve_s=settings.plan_solve_s, gamma=settings.plan_gamma),
    )
