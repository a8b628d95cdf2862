"""Everything, wired: settings in, a System out, started and closed as a whole."""

from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import structlog

from umbel import migrations
from umbel.bootstrap import attendance as attending
from umbel.bootstrap import captions, guest_services, mail, playout, services
from umbel.bootstrap import recordings as recorded
from umbel.bootstrap import repository as repositories
from umbel.bootstrap.drivers import Drivers, network_document, read_network, real_drivers
from umbel.bootstrap.secrets import Secrets, load_secrets
from umbel.bootstrap.services import Context
from umbel.catalogue.service import Catalogue
from umbel.compute.clouds.service import CloudService
from umbel.compute.clusters.service import ClusterService
from umbel.compute.firewall.service import FirewallService
from umbel.compute.guest_operations import GuestOperations
from umbel.compute.hypervisors.service import HypervisorService
from umbel.compute.images.service import ImageService
from umbel.compute.machines.service import MachineService
from umbel.compute.service import Compute
from umbel.compute.volumes.service import VolumeService
from umbel.delivery.attendance.service import AttendanceService
from umbel.delivery.captions import CaptionReader
from umbel.delivery.demand.service import DemandService
from umbel.delivery.loop.controller import DeliveryController
from umbel.delivery.loop.timing import Timing
from umbel.delivery.node_service import NodeService
from umbel.delivery.prepared.service import PreparedFunctions
from umbel.delivery.replays.service import ReplayEdges
from umbel.delivery.service import Delivery
from umbel.delivery.slice_streams import TreeStreams
from umbel.delivery.store import DeliveryStore
from umbel.inline.service import InlineGuests
from umbel.kit import data_dir, instances
from umbel.kit.clock import Clock, SystemClock
from umbel.kit.config import Settings
from umbel.kit.controller import Pace
from umbel.kit.db import Database
from umbel.kit.ids import new_id
from umbel.kit.journal import Journal
from umbel.kit.tokens import Verifier
from umbel.media.service import Media
from umbel.mobility.choice import Choosing
from umbel.mobility.rule_store import MigrationRules
from umbel.mobility.service import Mobility
from umbel.network import service as network
from umbel.notify.ports import Pusher
from umbel.notify.service import Notifier
from umbel.plans.service import Plans
from umbel.portal import ports
from umbel.recordings.feeding import Feeding
from umbel.schedule.reminding import Reminding
from umbel.schedule.service import Schedule
from umbel.storage.service import StorageFunctions

if TYPE_CHECKING:
    from fastapi import FastAPI

    from umbel.bootstrap.overlay import Switched

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class System(ports.System):
    """The front end's services and what runs behind them."""

    delivery: Delivery
    nodes: NodeService
    machines: MachineService
    hypervisors: HypervisorService
    clusters: ClusterService
    clouds: CloudService
    guest_operations: GuestOperations
    volumes: VolumeService
    images: ImageService
    firewall: FirewallService
    prepared: PreparedFunctions
    plans: Plans
    mobility: Mobility
    migration_rules: MigrationRules
    choosing: Choosing
    inline: InlineGuests
    storage_functions: StorageFunctions
    compute: Compute
    media: Media
    schedule: Schedule
    attendance: AttendanceService
    demand: DemandService
    reminding: Reminding
    caption_reader: CaptionReader
    replay_edges: ReplayEdges
    feeding: Feeding
    pusher: Pusher
    secrets: Secrets
    overlay: "Switched | None" = None

    def app(self) -> "FastAPI":
        """The front end. It is loaded here, which takes a third of a whole start."""
        from umbel.portal.app import create_app  # noqa: PLC0415

        return create_app(self)

    async def is_replay_ended(self, token: str) -> bool:
        """Whether the token's holder may not play the recording any more."""
        from umbel.portal import grants  # noqa: PLC0415

        return await grants.is_ended(self, token)

    async def succeed(self, owners: Sequence[str]) -> None:
        """Take over at once what these instances held, which have ended."""
        for owner in owners:
            log.info("predecessor ended", owner=owner)
            await self.delivery.controller.leases.release_of(owner)
            await self.notifier.store.release(owner)
            await self.catalogue.outbox.release_of(owner)

    async def start(self) -> None:
        """Take the network's switches, if it has any. Raises ControllerAddressTaken."""
        if self.overlay is not None:
            await self.overlay.start()

    def loops(self) -> Mapping[str, Callable[[], Coroutine[None, None, None]]]:
        """What runs next to the front end, by name, each until cancelled."""
        return {
            "delivery": self.delivery.run,
            "schedule": self.schedule.run,
            "attendance": self.attendance.run,
            "demand": self.demand.run,
            "reminders": self.reminding.run,
            "mobility": self.mobility.run,
            "inline": self.inline.run,
            "volumes": self.volumes.run,
            "firewall": self.firewall.run,
            "slices": self.network.slices.run,
            "paths": self.network.operator.run,
            "traffic": self.network.traffic.run,
            "notify": self.notifier.run,
            "borders": self.network.edge.run,
            "storage": self.storage_functions.run,
            "repository": self.repository.run,
            "files": self.playouts.checks.run,
            "playouts": self.playouts.run,
            "recordings": self.recordings.run,
            "replays": partial(self.feeding.run, self.is_replay_ended),
            "captions": self.caption_reader.run,
        }

    def loops_pace(self) -> Mapping[str, Pace]:
        """How the loops behind the front end do, by name."""
        return {
            "delivery": self.delivery.controller.pace(),
            "schedule": self.schedule.pace(),
            "attendance": self.attendance.pace(),
            "demand": self.demand.pace(),
            "mobility": self.mobility.pace(),
            "slices": self.network.slices.pace(),
        }

    async def close(self) -> None:
        """Let go of everything; functions go on unless the settings say otherwise."""
        await self.plans.close()
        await self.machines.close()
        await self.images.close()
        if self.settings.stop_functions_on_exit:
            await self.compute.stop_all()
        await self.network.close()
        await self.media.close()
        await self.compute.close()
        if self.overlay is not None:
            await self.overlay.close()
        await self.notifier.close()
        if self.mailer is not None:
            await self.mailer.close()
        await self.recordings.close()
        await self.pusher.close()
        await self.repository.close()
        await self.database.close()


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[System]:
    """A migrated, wired system on real drivers, started; closed on the way out. Instances over one
    data directory see each other's end."""
    data_dir.ensure(settings.data_dir)
    folder, owner = settings.data_dir / "instances", new_id("cp")
    with instances.present(folder, owner):
        system = await assemble(settings, owner=owner)
        try:
            with instances.ended(folder) as others:
                await system.succeed(others)
            await system.start()
            yield system
        finally:
            await system.close()


async def assemble(
    settings: Settings,
    *,
    drivers: Drivers | None = None,
    clock: Clock | None = None,
    timing: Timing | None = None,
    database: Database | None = None,
    owner: str = "",
) -> System:
    """Build the system; what is not given is the real thing, as the settings say. `owner` is this
    instance's name. Raises BadNetwork, DatabaseUnavailable, SchemaUnknown."""
    context = _ground(settings, drivers, clock or SystemClock(), database, owner or new_id("cp"))
    await migrations.upgrade(context.database)
    notifier, loop = _delivery_loop(context, timing)
    collector, kept = loop.collector, repositories.repository(context, loop.collector.compute)
    delivery, inline = services.delivery(context, loop), services.inline_guests(context, loop)
    mobility = services.mobility(context, loop, inline)
    messaging = mail.messaging(
        settings, context.catalogue, context.clock, context.owner, context.secrets
    )
    await delivery.nodes.load()
    return System(
        settings=settings,
        database=context.database,
        journal=context.journal,
        catalogue=context.catalogue,
        compute=collector.compute,
        media=collector.media,
        delivery=delivery,
        nodes=delivery.nodes,
        machines=services.machines(context),
        hypervisors=services.hypervisors(context),
        clusters=services.clusters(context),
        clouds=services.clouds(context),
        prepared=services.prepared_functions(context, loop),
        guest_operations=collector.compute.guest_operations,
        volumes=guest_services.volumes(context, collector.compute),
        images=guest_services.images(context, collector.compute),
        firewall=guest_services.firewall(context, collector.compute),
        schedule=services.schedule(context, loop),
        notifier=notifier,
        **messaging._asdict(),
        caption_reader=captions.caption_reader(context, loop),
        service_reports=services.service_reports(context, loop),
        **attending.audience(context, loop)._asdict(),
        network=context.network,
        plans=services.plans(context, delivery),
        mobility=mobility,
        migration_rules=mobility.rules,
        choosing=Choosing(mobility=mobility),
        inline=inline,
        **kept._asdict(),
        **recorded.recording_services(context, delivery, kept.repository)._asdict(),
        playouts=playout.playouts(context, delivery, kept.repository),
        secrets=context.secrets,
        signer=context.secrets.signer,
        verifier=Verifier(context.secrets.signer.public_key),
        clock=context.clock,
        overlay=context.drivers.overlay,
    )


def _delivery_loop(context: Context, timing: Timing | None) -> tuple[Notifier, DeliveryController]:
    notifier, collector = services.notifier(context), services.collector(context)
    observe = services.observers(notifier, context.network)
    return notifier, services.controller(context, collector, observe, timing)


def _ground(
    settings: Settings,
    drivers: Drivers | None,
    clock: Clock,
    database: Database | None,
    owner: str,
) -> Context:
    data_dir.ensure(settings.data_dir)
    document = network_document(settings.network_file)
    nodes, links, terms = read_network(document)
    secrets = load_secrets(settings.data_dir / "keys")
    database = database or Database(settings.database)
    drivers = drivers or real_drivers(settings, document, secrets, clock, database)
    journal = Journal(database)
    return Context(
        settings=settings,
        document=document,
        nodes=nodes,
        network=network.build(
            topology=links,
            terms=terms,
            drivers=drivers.network,
            streams=TreeStreams(DeliveryStore(database)),
            database=database,
            clock=clock,
        ),
        secrets=secrets,
        drivers=drivers,
        clock=clock,
        database=database,
        journal=journal,
        catalogue=Catalogue(database, clock, own_key_of=secrets.playout_key),
        owner=owner,
    )
