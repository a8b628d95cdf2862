"""Makes predictions before events start, and shows them next to what became of them.

In: reservations, attendance and events of the past. Out: a row for each event that starts soon,
made again and again until its start, and kept. One instance makes them, by a lease; all read them.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from umbel.catalogue.demand.model import Earlier
from umbel.catalogue.model import Event
from umbel.catalogue.service import Catalogue
from umbel.compute.model import Node, NodeKind
from umbel.delivery.attendance import store as attendance_store
from umbel.delivery.demand import series, store
from umbel.delivery.demand.model import Demand, History, Point, Prediction, Profile
from umbel.delivery.sessions import counts as session_counts
from umbel.delivery.store import DeliveryStore
from umbel.kit.clock import Clock
from umbel.kit.controller import Controller, Pace
from umbel.kit.db import Database
from umbel.kit.leases import Leases

LEASE = "demand"
LEASE_S = 60.0
_KEY = "predict"
_HISTORY_S = 600.0
_MOST_HISTORIES = 256


@dataclass(kw_only=True)
class DemandService:
    """Looks every `every_s` seconds at the events that start within `horizon_s`. `nodes` are all
    that there are now."""

    database: Database
    catalogue: Catalogue
    sessions: DeliveryStore
    nodes: Callable[[], Iterable[Node]]
    leases: Leases
    clock: Clock
    horizon_s: float
    every_s: float = 10.0
    _histories: dict[str, tuple[float, History]] = field(default_factory=dict)
    _controller: Controller = field(init=False)

    def __post_init__(self) -> None:
        self._controller = Controller(self._reconcile)

    def pace(self) -> Pace:
        """Whether runs happen when they are due."""
        return self._controller.pace()

    async def run(self) -> None:
        """Predict until cancelled."""
        await self._controller.run(_KEY)

    async def of(self, event: Event) -> Demand:
        """The event's demand: as it is predicted now, or was before its start; and what became of
        it."""
        now_s = self.clock.now_s()
        stored = await self.database.read(store.prediction_of, event.id)
        if now_s < event.starts_s and not event.is_over:
            reserved = await self.catalogue.demand.by_node(event.id)
            made: Prediction | None = await self._predicted(event, reserved)
        elif stored is not None and stored.starts_s == event.starts_s:
            made = stored
        else:
            made = None
        attendance = await self.database.read(attendance_store.attendance, event.id, 0)
        watching = session_counts.by_nodes(await self.sessions.counts())
        there = session_counts.by_access_node(watching, event.id)
        points: tuple[Point, ...] = ()
        if made is not None:
            points = series.points(made, attendance, now_s)
        return Demand(prediction=made, points=points, present=there)

    async def predict(self) -> None:
        """Predict what starts soon, if this instance is the one that does."""
        if not await self.leases.acquire(LEASE):
            return
        now_s = self.clock.now_s()
        span = now_s, now_s + self.horizon_s
        starting = await self.catalogue.demand.starting(*span)
        if not starting:
            return
        reserved = await self.catalogue.demand.starting_by_node(*span)
        made = [
            await self._predicted(one.event, reserved.get(one.event.id, {})) for one in starting
        ]
        ahead = [one for one in made if self.clock.now_s() < one.starts_s]
        if ahead:
            await self.database.write(store.put, ahead)

    async def _reconcile(self, _key: str) -> float:
        await self.predict()
        return self.every_s

    async def _predicted(self, event: Event, reserved: Mapping[str, int]) -> Prediction:
        history, now_s = await self._history(event), self.clock.now_s()
        nodes = [node.name for node in self.nodes() if node.kind is NodeKind.PROVIDER_EDGE]
        return Prediction(
            event_id=event.id,
            starts_s=event.starts_s,
            ends_s=event.ends_s,
            made_s=now_s,
            reservations=sum(reserved.values()),
            show_up=history.show_up,
            walk_ins=history.walk_ins,
            earlier=history.events,
            viewers=series.viewers(reserved, history, nodes),
            shape=history.shape,
        )

    async def _history(self, event: Event) -> History:
        """What the provider's earlier events teach; read again after some minutes."""
        now_s = self.clock.now_s()
        known = self._histories.get(event.provider_id)
        if known is not None and now_s - known[0] < _HISTORY_S:
            return known[1]
        profiles = []
        for one in await self.catalogue.demand.earlier(event.provider_id, now_s):
            found = await self._profile(one)
            if found is not None:
                profiles.append(found)
        history = series.learned(profiles)
        while len(self._histories) >= _MOST_HISTORIES:
            del self._histories[next(iter(self._histories))]
        self._histories[event.provider_id] = (now_s, history)
        return history

    async def _profile(self, one: Earlier) -> Profile | None:
        event = one.event
        found = await self.database.read(attendance_store.attendance, event.id, one.reservations)
        return series.profile(found, event.starts_s, event.ends_s, one.reservations)
