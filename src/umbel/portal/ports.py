"""What the portal needs from the platform, as one `System`. Each Protocol belongs to one group of
the API's users; `delivery.service` and `plans.service` fulfil them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from umbel.catalogue.service import Catalogue
from umbel.compute.model import Node, Scheduling
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
from umbel.delivery.service_reports import ServiceReport
from umbel.kit.clock import Clock
from umbel.kit.config import Settings
from umbel.kit.controller import Pace
from umbel.kit.db import Database
from umbel.kit.journal import Journal
from umbel.kit.tokens import Signer, Verifier
from umbel.network.model import Link
from umbel.network.service import Network
from umbel.notify.service import Notifier
from umbel.plans.model import PlanJob, PlanRequest


class Viewing(Protocol):
    """For viewers."""

    async def open_session(
        self, event_id: str, access_node: str, quality: str = "source"
    ) -> Ticket:
        """A place at an edge. Raises NoSuchEvent, EventNotOpen (409), NoSuchQuality (422),
        NoCapacity (503), NotFound or Invalid for an unknown node."""

    async def session(self, session_id: str) -> Session:
        """That session. Raises NoSuchSession (404)."""

    async def close_session(self, session_id: str) -> None:
        """Close the session. Raises NoSuchSession."""

    async def access_node_for(self, client_ip: str) -> str:
        """The node that gives a client of that address access."""


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

    async def stream(self, event_id: str) -> StreamStatus | None:
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

    async def add(self, node: Node, links: Sequence[Link], *, by: str) -> NodeStatus:
        """A node comes with its links. Raises NodeExists, NoSwitch (409), NoSuchPool (400),
        InvalidLinks (422)."""

    async def remove(self, name: str, *, by: str) -> None:
        """A node goes that carries nothing. Raises NoSuchNode, NodeInUse (409)."""

    async def schedule(
        self, name: str, scheduling: Scheduling, *, by: str, within_s: float | None = None
    ) -> NodeStatus:
        """Open, cordon or drain the node; what a drained one carries after `within_s` seconds is
        ended. Raises NoSuchNode."""


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


class ServiceReporting(Protocol):
    """For operators and providers: how what was promised was kept."""

    async def report(self, provider_id: str, period_s: float) -> ServiceReport:
        """The provider's service level in the last `period_s` seconds. Raises NoSuchProvider."""


@dataclass(frozen=True, kw_only=True)
class System:
    """All that the front end serves. `bootstrap` extends it by what runs behind the front end."""

    settings: Settings
    clock: Clock
    database: Database
    journal: Journal
    signer: Signer
    verifier: Verifier
    catalogue: Catalogue
    delivery: Delivery
    nodes: Nodes
    network: Network
    plans: Planning
    notifier: Notifier
    service_reports: ServiceReporting

    def loops_pace(self) -> Mapping[str, Pace]:
        """How the loops behind the front end do, by name."""
        return {}
