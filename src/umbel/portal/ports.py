"""What the portal needs from the platform, as one `System`. Each Protocol belongs to one group of
the API's users; `delivery.service` and `plans.service` fulfil them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from umbel.catalogue.model import Event
from umbel.catalogue.service import Catalogue
from umbel.catalogue.visibility.model import WatchRight
from umbel.compute.clouds.model import CloudFacts, CloudNode
from umbel.compute.clusters.model import ClusterFacts, ClusterNode, Credentials
from umbel.compute.hypervisors.authority import Issued
from umbel.compute.hypervisors.model import CERTIFICATE_DAYS, Hypervisor, HypervisorFacts
from umbel.compute.machines.model import Machine, MachineFacts
from umbel.compute.machines.service import MachineStatus
from umbel.compute.model import Node, Scheduling
from umbel.delivery.attendance.model import Attendance
from umbel.delivery.demand.model import Demand
from umbel.delivery.model import (
    FunctionStatus,
    IngestPoint,
    LinkStatus,
    NodeStatus,
    Session,
    StreamStatus,
    Ticket,
    Tree,
)
from umbel.delivery.prepared.model import Prepared, PreparedStatus
from umbel.delivery.service_reports import ServiceReport
from umbel.kit.clock import Clock
from umbel.kit.config import Settings
from umbel.kit.controller import Pace
from umbel.kit.db import Database
from umbel.kit.journal import Journal
from umbel.kit.tokens import Signer, Verifier
from umbel.media.model import Thumbnail
from umbel.mobility.admission import Verdict
from umbel.mobility.choice import MoveChoice, MoveQuestion
from umbel.mobility.model import Migration
from umbel.mobility.rules import MigrationRule
from umbel.mobility.service import Request
from umbel.network.documents import NO_SITE, AddedSite
from umbel.network.model import Link
from umbel.network.service import Network
from umbel.notify.ports import Mailer
from umbel.notify.service import Notifier
from umbel.plans.model import PlanJob, PlanRequest
from umbel.playout.files import Files
from umbel.playout.service import Playouts
from umbel.portal.guest_ports import Filtering, GuestOperating, OperatingImages, OperatingVolumes
from umbel.portal.storage_ports import ListingStorage
from umbel.recordings.service import Recordings
from umbel.repository.service import Repository


class Viewing(Protocol):
    """For viewers."""

    async def open_session(
        self,
        event_id: str,
        access_node: str,
        quality: str,
        right: WatchRight,
    ) -> Ticket:
        """A place at an edge, as long as there is that `right`. Raises NoSuchEvent,
        EventNotOpen (409), NoSuchQuality (422), NoCapacity (503), NotFound or Invalid for an
        unknown node."""

    async def session(self, session_id: str) -> Session:
        """That session. Raises NoSuchSession (404)."""

    async def close_session(self, session_id: str) -> None:
        """Close the session. Raises NoSuchSession."""

    async def thumbnail(self, event_id: str) -> Thumbnail:
        """A small picture of what is live. Raises NoSuchEvent, NoThumbnail (404)."""

    async def access_node_for(self, client_ip: str) -> str:
        """The node that gives a client of that address access."""

    async def known_access_node(self, client_ip: str) -> str:
        """The same where a node has a prefix of the address; else empty."""


class ReplayPlacing(Protocol):
    """For viewers of recordings."""

    async def find(self, grant_id: str, access_node: str) -> str:
        """The base URL of the edge that serves the viewer already; empty where none does."""

    async def open(self, grant_id: str, capture_id: str, access_node: str, mbps: float) -> str:
        """The base URL of an edge for the viewer; empty where none can serve. Raises NoSuchNode
        (404)."""

    async def viewers(self) -> Mapping[str, int]:
        """How many viewers of recordings each edge has, by function."""


class Ingesting(Protocol):
    """For providers."""

    async def open_ingest(
        self, event_id: str, sources: tuple[str, ...] | None = None
    ) -> IngestPoint:
        """Have an acquirer that takes the event, and answer where it is; `sources` are from where
        it takes RTP and MPEG-TS, None leaves them as they are. Idempotent. A scheduled
        event becomes open. Stream keys changed later reach the acquirer through the journal. Raises
        NoSuchEvent, Conflict when the event is over, Exhausted, Unavailable."""

    async def describe_rtp(self, event_id: str, sdp: str) -> str:
        """Take an RTP publisher's description and answer with where to send. Raises MalformedSdp
        (400), NoSuchEvent, Conflict."""

    async def stream(self, event: Event) -> StreamStatus | None:
        """How the event's stream does, None when nothing carries it."""

    async def end(self, event_id: str) -> None:
        """The event is over: stop what carries it."""


class Watching(Protocol):
    """For operators."""

    async def tree(self, event_id: str, quality: str = "source") -> Tree:
        """What carries the event; an empty tree when nothing does."""

    async def links(self) -> Sequence[LinkStatus]:
        """Every link with the rate over it."""

    async def functions(self) -> Sequence[FunctionStatus]:
        """Every function with what it carries."""


class Nodes(Protocol):
    """For operators: nodes come, go, are cordoned and drained."""

    async def list(self) -> Sequence[NodeStatus]:
        """Every node with what is used of it."""

    async def get(self, name: str) -> NodeStatus:
        """One node. Raises NoSuchNode (404)."""

    async def add(
        self, node: Node, links: Sequence[Link], site: AddedSite = NO_SITE, *, by: str
    ) -> NodeStatus:
        """A node comes with its links and its switch. Raises NodeExists, NoSwitch (409), NoSuchPool
        (400), InvalidLinks, InvalidSite (422)."""

    async def remove(self, name: str, *, by: str) -> None:
        """A node goes that carries nothing. Raises NoSuchNode, NodeInUse (409)."""

    async def schedule(
        self, name: str, scheduling: Scheduling, *, by: str, within_s: float | None = None
    ) -> NodeStatus:
        """Open, cordon or drain the node; what a drained one carries after `within_s` seconds is
        ended. Raises NoSuchNode."""


class Machines(Protocol):
    """For operators: the machines that run functions over SSH."""

    @property
    def public_key(self) -> str:
        """What a machine must authorize, a line."""

    async def list(self) -> Sequence[MachineStatus]:
        """Every machine."""

    async def get(self, name: str) -> MachineStatus:
        """One machine. Raises NoSuchMachine (404)."""

    async def add(self, machine: Machine, address: str = "") -> tuple[MachineStatus, MachineFacts]:
        """A machine comes. Raises BadSshTarget (400), MachineUnfit (422), MachineExists (409),
        MachineUnreachable, SshAccessDenied (503)."""

    async def upgrade(self, name: str) -> MachineStatus:
        """Begin to install the newest bundle. Raises NoSuchMachine, HostKeyChanged (409) and what
        `add` raises."""

    async def remove(self, name: str, *, nodes: Sequence[str], force: bool = False) -> None:
        """A machine goes. Raises NoSuchMachine, MachineInUse (409) and what `add` raises."""


class Hypervisors(Protocol):
    """For operators: the hypervisors whose guests run functions."""

    async def list(self) -> Sequence[Hypervisor]:
        """Every hypervisor."""

    async def add(self, hypervisor: Hypervisor) -> tuple[Hypervisor, HypervisorFacts]:
        """A hypervisor comes. Raises BadHypervisor (400), HypervisorExists (409), NoSuchImage
        (404), HypervisorUnreachable, HypervisorFailed (503)."""

    async def certificate(
        self, name: str, names: Sequence[str] = (), *, days: int = CERTIFICATE_DAYS
    ) -> tuple[Issued, Sequence[str]]:
        """A certificate for TLS of a hypervisor, and the names it holds. Raises NoSuchHypervisor
        (404), BadHypervisor (400)."""

    async def remove(self, name: str, *, nodes: Sequence[str], force: bool = False) -> None:
        """A hypervisor goes. Raises NoSuchHypervisor (404), HypervisorInUse (409) and what
        connecting raises."""


class Clusters(Protocol):
    """For operators: the nodes of Kubernetes clusters whose pods run functions."""

    async def list(self) -> Sequence[ClusterNode]:
        """Every one."""

    async def add(self, node: ClusterNode) -> tuple[ClusterNode, ClusterFacts]:
        """A cluster's node comes. Raises BadCluster (400), ClusterNodeExists (409),
        ClusterNodeUnfit (422), ClusterUnreachable, ClusterDenied, ClusterFailed (503)."""

    async def replace_credentials(self, name: str, credentials: Credentials) -> ClusterFacts:
        """Sign in by others from now on. Raises NoSuchClusterNode (404), ClusterNodeUnfit (422),
        ClusterUnreachable, ClusterDenied, ClusterFailed (503)."""

    async def remove(self, name: str, *, nodes: Sequence[str], force: bool = False) -> None:
        """A cluster's node goes. Raises NoSuchClusterNode (404), ClusterNodeInUse (409) and what
        connecting raises."""


class Clouds(Protocol):
    """For operators: the nodes in OpenStack clouds whose servers run functions."""

    async def list(self) -> Sequence[CloudNode]:
        """Every one."""

    async def add(self, node: CloudNode) -> tuple[CloudNode, CloudFacts]:
        """A cloud's node comes. Raises BadCloud (400), CloudNodeExists (409), CloudNodeUnfit (422),
        CloudUnreachable, CloudDenied, CloudFailed (503)."""

    async def remove(self, name: str, *, nodes: Sequence[str], force: bool = False) -> None:
        """A cloud's node goes. Raises NoSuchCloudNode (404), CloudNodeInUse (409) and what
        connecting raises."""


class Delivery(Viewing, Ingesting, Watching, Protocol):
    """All three, behind one door."""


class Planning(Protocol):
    """Plans on request, for operators."""

    async def submit(
        self, request: PlanRequest, *, by: str, of_platform: bool = False, from_live: bool = False
    ) -> PlanJob:
        """Take a request: of the platform's own network, for what is watched now, if so wished.
        Raises BadPlanRequest, TooManyPlans."""

    async def plan(self, plan_id: str) -> PlanJob:
        """The job with its result. Raises NoSuchPlan."""

    async def plans(self) -> Sequence[PlanJob]:
        """Every job that is remembered, the newest first, without results."""

    async def cancel(self, plan_id: str) -> None:
        """Stop solving it; forget one that is over. Raises NoSuchPlan."""

    async def why(self, plan_id: str, *, node: str = "", end: str = "") -> Mapping[str, object]:
        """The reasons for a node's state, or for the paths to an end. Raises NoSuchPlan,
        PlanNotReady (409), NotInPlan (404)."""

    async def picture(self, plan_id: str) -> bytes:
        """The plan or the front as PNG. Raises NoSuchPlan, PlanNotReady, PlannerCrashed (503)."""


class Migrating(Protocol):
    """Moves of functions, for operators."""

    async def check(self, request: Request, *, by: str = "") -> tuple[Migration, Verdict]:
        """What `start` would make of it. Raises NoFunctionToMove, NoSuchNode (404),
        FunctionNotActive, AlreadyThere, CannotMigrate (409)."""

    async def start(self, request: Request, *, by: str) -> Migration:
        """Accept it. Raises what `check` raises, MigrationUnderWay (409), TooManyMigrations."""

    async def get(self, migration_id: str) -> Migration:
        """One of them. Raises NoSuchMigration (404)."""

    async def list(self) -> Sequence[Migration]:
        """All that are remembered, the newest first."""

    async def cancel(self, migration_id: str, *, by: str) -> Migration:
        """Have it aborted. Raises NoSuchMigration, MigrationTooLate (409)."""


class MigrationRules(Protocol):
    """For operators: moves that nobody may ask for, or not everybody, or not always."""

    async def all(self) -> Sequence[MigrationRule]:
        """Every rule, by name."""

    async def put(self, rule: MigrationRule, *, by: str) -> None:
        """Have the rule. Raises BadMigrationRule (400), TooManyMigrationRules (409)."""

    async def remove(self, name: str, *, by: str) -> None:
        """Have no such rule. Raises NoSuchMigrationRule (404)."""


class Choosing(Protocol):
    """For operators: which running functions to move where."""

    async def choose(self, question: MoveQuestion) -> MoveChoice:
        """The moves that do what is asked for. Raises BadMoves (400), NoSuchNode (404), NoMoves
        (409), WorkerDied (503)."""


class Preparing(Protocol):
    """For operators: functions that run before somebody needs them."""

    async def list(self) -> Sequence[PreparedStatus]:
        """Every node that is to have some."""

    async def set(self, wanted: Prepared, *, by: str) -> None:
        """The node is to have exactly these. Raises NoSuchNode."""


class Attending(Protocol):
    """For providers: how many watched."""

    async def of(self, event_id: str) -> Attendance:
        """What is kept of the event."""


class Forecasting(Protocol):
    """For providers: how many are expected to watch."""

    async def of(self, event: Event) -> Demand:
        """The event's viewers, predicted next to actual."""


class ServiceReporting(Protocol):
    """For operators and providers: how what was promised was kept."""

    async def report(self, provider_id: str, period_s: float) -> ServiceReport:
        """The provider's service level in the last `period_s` seconds. Raises NoSuchProvider."""


@dataclass(frozen=True, kw_only=True)
class System:
    """All that the front end serves. Without a `mailer` no mails are sent; `push_key` is what
    browsers subscribe to pushes with. `bootstrap` extends it by what runs behind the front end."""

    settings: Settings
    clock: Clock
    database: Database
    journal: Journal
    signer: Signer
    verifier: Verifier
    catalogue: Catalogue
    delivery: Delivery
    nodes: Nodes
    machines: Machines
    hypervisors: Hypervisors
    clusters: Clusters
    clouds: Clouds
    guest_operations: GuestOperating
    volumes: OperatingVolumes
    images: OperatingImages
    firewall: Filtering
    prepared: Preparing
    network: Network
    plans: Planning
    mobility: Migrating
    migration_rules: MigrationRules
    choosing: Choosing
    notifier: Notifier
    mailer: Mailer | None
    push_key: str
    service_reports: ServiceReporting
    attendance: Attending
    demand: Forecasting
    repository: Repository
    storage_functions: ListingStorage
    recordings: Recordings
    replay_edges: ReplayPlacing
    playouts: Playouts

    @property
    def files(self) -> Files:
        """Those of providers."""
        return self.playouts.files

    def loops_pace(self) -> Mapping[str, Pace]:
        """How the loops behind the front end do, by name."""
        return {}
