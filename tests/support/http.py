"""A front end for tests: a System over a real database, asked in process or over real uvicorn.

`World` also knows the people: an operator, two providers with a user each, a viewer.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI

from support import migrating, recorded
from support.delivery import MemoryDelivery, MemoryReplayEdges
from support.migrating import Plane
from support.nodes import MemoryNodes, MemoryPrepared, MemoryStorageFunctions
from support.passwords import SharedHashes
from support.recorded import Studio
from support.slicing import make_slices
from support.stored import playouts_of, repository
from umbel.catalogue.model import Event, EventDraft, Provider, User, UserRole
from umbel.catalogue.service import Catalogue
from umbel.compute.clouds.service import CloudService
from umbel.compute.clouds.store import CloudStore
from umbel.compute.clusters.service import ClusterService
from umbel.compute.clusters.store import ClusterStore
from umbel.compute.drivers.fake_clouds import FakeCloudAccess
from umbel.compute.drivers.fake_clusters import FakeClusterAccess
from umbel.compute.drivers.fake_hypervisors import FakeHypervisorAccess
from umbel.compute.drivers.fake_machines import FakeAccess
from umbel.compute.firewall.service import FirewallService
from umbel.compute.firewall.store import FirewallStore
from umbel.compute.hypervisors.authority import Authority
from umbel.compute.hypervisors.service import HypervisorService
from umbel.compute.hypervisors.store import HypervisorStore
from umbel.compute.images.folder import Images
from umbel.compute.images.service import ImageService
from umbel.compute.images.uploads import Uploads
from umbel.compute.machines.service import MachineService
from umbel.compute.machines.store import MachineStore
from umbel.compute.volumes.service import LEASE_S, VolumeService
from umbel.compute.volumes.store import VolumeStore
from umbel.delivery.attendance.service import AttendanceService
from umbel.delivery.demand.service import DemandService
from umbel.delivery.service_reports import ServiceReports
from umbel.delivery.store import DeliveryStore
from umbel.kit import derived_keys
from umbel.kit.clock import Clock, SystemClock
from umbel.kit.config import Settings
from umbel.kit.db import Database
from umbel.kit.journal import Journal
from umbel.kit.leases import Leases
from umbel.kit.listening import bind
from umbel.kit.sealing import Sealer
from umbel.kit.tokens import Signer, Verifier, new_private_key
from umbel.kit.vapid import Vapid
from umbel.mobility.choice import Choosing
from umbel.mobility.rule_store import MigrationRules
from umbel.mobility.service import Mobility
from umbel.network.drivers.fake.fabric import FakeFabric
from umbel.network.drivers.openflow.fabric import OpenFlowFabric
from umbel.network.edge.service import EdgeService
from umbel.network.edge.store import EdgeStore
from umbel.network.operator.guest_moves import GuestMoves
from umbel.network.operator.service import OperatorService
from umbel.network.operator.store import OperatorStore
from umbel.network.port_traffic import PortTraffic
from umbel.network.ports import Ethernet, ProgrammableFabric
from umbel.network.service import Network, TopologyService
from umbel.network.topology import document, files
from umbel.notify.drivers.fake import FakeCourier
from umbel.notify.drivers.fake_mailer import FakeMailer
from umbel.notify.service import Notifier
from umbel.notify.store import NotifyStore
from umbel.plans.service import Plans
from umbel.plans.store import PlanStore
from umbel.portal import auth, ports
from umbel.portal.app import create_app
from umbel.portal.server import PortalServer
from umbel.repository.drivers.fake import FakeStorage

SLS = document.parse(files.builtin("sls"))
PASSWORD = "correct horse battery"
PUSH_KEY = Vapid(key=derived_keys.p256(b"of a test", b"push")).public_key


@dataclass(frozen=True, kw_only=True)
class TestSystem(ports.System):
    """The delivery is in memory; callbacks reach a fake courier; `plane` has the functions that
    move, over a fake VIM."""

    __test__ = False

    delivery: MemoryDelivery
    replay_edges: MemoryReplayEdges
    storage_functions: MemoryStorageFunctions
    nodes: MemoryNodes
    plans: Plans
    mobility: Mobility
    migration_rules: MigrationRules
    choosing: Choosing
    plane: Plane
    attendance: AttendanceService
    demand: DemandService
    courier: FakeCourier
    mailer: FakeMailer
    studio: Studio


@dataclass(frozen=True, kw_only=True)
class World:
    """The system, an app over it, a client of the app, and the people."""

    system: TestSystem
    app: FastAPI
    client: httpx.AsyncClient
    city: Provider
    club: Provider
    users: Mapping[str, User]

    def as_(self, who: str) -> dict[str, str]:
        """Headers of a signed-in user: operator, city, club or viewer."""
        return {"Authorization": f"Bearer {auth.sign(self.system, self.users[who])}"}

    async def event(
        self, provider: Provider | None = None, *, pass_phrase: str | None = None, **changes: Any
    ) -> Event:
        """A scheduled event of the city's, an hour long from now."""
        now_s = self.system.clock.now_s()
        draft = EventDraft(
            provider_id=(provider or self.city).id,
            title="Council",
            description="A meeting",
            starts_s=now_s,
            ends_s=now_s + 3600,
        )
        return await self.system.catalogue.add_event(replace(draft, **changes), pass_phrase)

    async def open_event(self) -> Event:
        """An event that viewers may come to."""
        event = await self.event()
        await self.system.delivery.open_ingest(event.id)
        return await self.system.catalogue.event(event.id)


def make_system(
    database: Database,
    data_dir: Path,
    switches: ProgrammableFabric | None = None,
    ethernet: Ethernet | None = None,
    **settings: Any,
) -> TestSystem:
    """A system over `database`, with the delivery in memory."""
    clock = SystemClock()
    journal = Journal(database, poll_s=0.05)
    catalogue = Catalogue(database, clock, passwords=SharedHashes(PASSWORD))
    signer = Signer(new_private_key())
    courier = FakeCourier()
    notifier = Notifier(
        store=NotifyStore(database),
        journal=journal,
        courier=courier,
        sealer=Sealer(b"of a test", "notices"),
        clock=clock,
        owner="test",
    )
    plane, nodes = migrating.served(database, clock), MemoryNodes()
    delivery = MemoryDelivery(catalogue, signer, clock)
    items = repository(database, FakeStorage(clock=clock), clock)
    studio = recorded.studio(database, catalogue, items, clock)
    return TestSystem(
        database=database,
        journal=journal,
        catalogue=catalogue,
        delivery=delivery,
        nodes=nodes,
        prepared=MemoryPrepared(nodes),
        machines=MachineService(
            store=MachineStore(database), access=FakeAccess(clock), clock=clock
        ),
        hypervisors=HypervisorService(
            store=HypervisorStore(database),
            access=FakeHypervisorAccess(),
            authority=Authority(b"of a test", "0123456789abcdef"),
            clock=clock,
        ),
        clusters=ClusterService(
            store=ClusterStore(database, Sealer(b"of a test", "clusters")),
            access=FakeClusterAccess(),
        ),
        clouds=CloudService(
            store=CloudStore(database, Sealer(b"of a test", "clouds")),
            access=FakeCloudAccess(),
        ),
        guest_operations=plane.compute.guest_operations,
        volumes=VolumeService(
            VolumeStore(database),
            plane.compute.vim_at,
            plane.compute.running,
            Leases(database, clock, "test", LEASE_S),
            clock=clock,
            quota_mb=100,
        ),
        images=ImageService(
            images=Images(data_dir / "images"),
            uploads=Uploads(Images(data_dir / "images"), 100),
            vim_at=plane.compute.vim_at,
            clock=clock,
        ),
        firewall=FirewallService(
            FirewallStore(database),
            plane.compute.vim_at,
            plane.compute.running,
            plane.compute.is_lost,
            clock,
        ),
        plans=Plans(
            store=PlanStore(database),
            journal=journal,
            clock=clock,
            platform=files.builtin,
            watched=_nobody,
        ),
        plane=plane,
        mobility=plane.mobility,
        migration_rules=plane.mobility.rules,
        choosing=plane.choosing,
        signer=signer,
        verifier=Verifier(signer.public_key),
        clock=clock,
        settings=Settings(data_dir=data_dir, **({"metrics": "on"} | settings)),
        courier=courier,
        mailer=FakeMailer(),
        push_key=PUSH_KEY,
        notifier=notifier,
        service_reports=ServiceReports(
            catalogue=catalogue, store=DeliveryStore(database), journal=journal, clock=clock
        ),
        network=_network(database, clock, switches, ethernet),
        repository=items,
        storage_functions=MemoryStorageFunctions(),
        studio=studio,
        recordings=studio.recordings,
        replay_edges=MemoryReplayEdges(),
        attendance=AttendanceService(
            database=database,
            delivery=DeliveryStore(database),
            catalogue=catalogue,
            journal=journal,
            leases=Leases(database, clock, "test", 60.0),
            clock=clock,
        ),
        demand=DemandService(
            database=database,
            catalogue=catalogue,
            sessions=DeliveryStore(database),
            nodes=plane.compute.nodes,
            leases=Leases(database, clock, "test", 60.0),
            clock=clock,
            horizon_s=600.0,
        ),
        playouts=playouts_of(items, database, delivery),
    )


def _network(
    database: Database,
    clock: Clock,
    switches: ProgrammableFabric | None,
    ethernet: Ethernet | None,
) -> Network:
    """SLS's network, with slices over a network of their own."""
    nodes, fabric = TopologyService(SLS), FakeFabric(SLS)
    edge = EdgeService(switches, nodes.current, EdgeStore(database), clock, ethernet=ethernet)
    return Network(
        topology=nodes,
        overlay=fabric,
        slices=make_slices(database, clock),
        edge=edge,
        guest_moves=GuestMoves(fabric=switches, edge=edge),
        operator=OperatorService(
            nodes.current,
            OperatorStore(database),
            clock,
            switches,
            switches.neighbours.ask if isinstance(switches, OpenFlowFabric) else None,
        ),
        traffic=PortTraffic(fabric=None, clock=clock),
        switches=switches,
    )


async def _nobody() -> tuple[dict[str, object], ...]:
    return ()


@contextlib.asynccontextmanager
async def world(
    system: TestSystem, *, served: bool = False, **options: Any
) -> AsyncIterator[World]:
    """The app with its lifespan running, its people, and a client inside the process. Where
    `serving` will run the lifespan, say `served`."""
    catalogue = system.catalogue
    city = await catalogue.add_provider("City", "pe1")
    club = await catalogue.add_provider("Club", "pe4")
    users = [
        await catalogue.add_user("operator", PASSWORD, UserRole.OPERATOR),
        await catalogue.add_user("city", PASSWORD, UserRole.PROVIDER, city.id),
        await catalogue.add_user("club", PASSWORD, UserRole.PROVIDER, club.id),
        await catalogue.add_user("viewer", PASSWORD, UserRole.VIEWER),
    ]
    app = create_app(system, **options)
    transport = httpx.ASGITransport(app)
    async with (
        contextlib.nullcontext() if served else app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://umbel") as client,
    ):
        try:
            yield World(
                system=system,
                app=app,
                client=client,
                city=city,
                club=club,
                users={user.username: user for user in users},
            )
        finally:
            await system.network.slices.close()
            await system.plans.close()


@contextlib.asynccontextmanager
async def serving(
    app: FastAPI, address: str = "127.0.0.1"
) -> AsyncIterator[tuple[PortalServer, str]]:
    """The app behind real uvicorn on a port of the kernel's choice, and its base URL."""
    listening = bind(address, 0)
    port = listening.getsockname()[1]
    server = PortalServer(app)
    # Not serve(): it would take the test runner's signal handlers.
    running = asyncio.create_task(server._serve([listening]))
    try:
        async with asyncio.timeout(60):
            while not server.started:
                assert not running.done(), running.exception()
                await asyncio.sleep(0.01)
        yield server, f"http://{address}:{port}"
    finally:
        server.should_exit = True
        await running
        listening.close()
