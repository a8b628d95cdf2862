"""How many watch an event, for those who run it: expected, the curve, and places; also as CSV."""

from collections.abc import Sequence
from enum import StrEnum

from fastapi import Response
from pydantic import BaseModel

from umbel.catalogue.model import Event
from umbel.delivery.attendance.model import MINUTE_S, Attendance, Minute, Share
from umbel.delivery.demand.model import Demand
from umbel.kit.clock import to_rfc3339
from umbel.portal import auth, csv_tables
from umbel.portal.api.events import theirs
from umbel.portal.api.resource import Resource

router = Resource(prefix="/api/v1/events/{event_id}", tags=["events"])

MOST_POINTS = 480
_CSV = "text/csv"


class CsvTable(StrEnum):
    """By minute, by where viewers were, or by protocol."""

    MINUTES = "minutes"
    PLACES = "places"
    PROTOCOLS = "protocols"


class PointOut(BaseModel):
    """A part of the curve: from `at` on, viewers on average and at most, and sessions opened."""

    at: str
    viewers: float
    peak: int
    opened: int


class PlaceOut(BaseModel):
    """Viewers of an access node at the edges of a node: how many are there `now`, and all so far;
    `share` is that of all watch time."""

    access_node: str
    edge_node: str
    now: int
    opened: int
    watched_s: float
    peak: int
    share: float


class ProtocolOut(BaseModel):
    """Viewers over a protocol, `whep` (WebRTC) or `hls`, as edges see them every few seconds:
    sessions that began with it or went over to it, most at once, and the `share` of all watch time
    whose protocol is known."""

    protocol: str
    opened: int
    watched_s: float
    peak: int
    share: float


class StatisticsOut(BaseModel):
    """How many watched. `sessions` were opened: somebody who comes back opens another. `peak` were
    there at once; `viewers` on average over the minutes in which somebody watched. `points` have
    `point_s` seconds each, without those of no viewer. `reservations` are those to watch."""

    sessions: int
    peak: int
    watched_s: float
    watched_each_s: float
    viewers: float
    reservations: int
    point_s: int
    points: list[PointOut]
    places: list[PlaceOut]
    protocols: list[ProtocolOut]


class DemandPointOut(BaseModel):
    """A part of the event's time from `at` on: viewers expected, and viewers there on average; null
    for what is to come."""

    at: str
    expected: float
    viewers: float | None


class NodeDemandOut(BaseModel):
    """Viewers of an access node: expected at the peak, and there now."""

    access_node: str
    expected: float
    viewers: int


class DemandOut(BaseModel):
    """Viewers expected, next to those who came. `expected` are those at the peak: `show_up` for
    each of `reservations`, and `walk_ins` without one, learned from `earlier_events` of the
    provider. After the event's start it is what was predicted last before it, at `predicted_at`;
    null, and nothing is expected, where nothing was."""

    predicted_at: str | None
    expected: float
    reservations: int
    show_up: float
    walk_ins: float
    earlier_events: int
    points: list[DemandPointOut]
    nodes: list[NodeDemandOut]


@router.get("/demand")
async def get_demand(system: auth.SystemDep, user: auth.SignedIn, event_id: str) -> DemandOut:
    """Get how many viewers the event is expected to have, when and where, next to how many came."""
    return _demand(await system.demand.of(await theirs(system, user, event_id)))


@router.get("/statistics")
async def get_statistics(
    system: auth.SystemDep, user: auth.SignedIn, event_id: str
) -> StatisticsOut:
    """Get how many watched the event, up to some seconds ago. It is kept after the event."""
    await theirs(system, user, event_id)
    return _response(await system.attendance.of(event_id))


@router.get(
    "/statistics.csv",
    response_class=Response,
    responses={200: {"description": "A table (RFC 4180)", "content": {_CSV: {}}}},
)
async def get_statistics_csv(
    system: auth.SystemDep, user: auth.SignedIn, event_id: str, table: CsvTable = CsvTable.MINUTES
) -> Response:
    """Get the same as a table for spreadsheets, by minute, place or protocol."""
    event = await theirs(system, user, event_id)
    found = await system.attendance.of(event_id)
    rows = _TABLES[table](event, found)
    headers = {
        "Content-Disposition": f'attachment; filename="{event_id}-{table.value}.csv"',
        "Cache-Control": "no-store",
    }
    return Response(rows, media_type=f"{_CSV}; charset=utf-8", headers=headers)


def _response(of: Attendance) -> StatisticsOut:
    whole, span_s = of.whole, len(of.minutes) * MINUTE_S
    known_s = sum(one.share.watched_s for one in of.protocols)
    width = max(1, -(-len(of.minutes) // MOST_POINTS))
    return StatisticsOut(
        sessions=whole.opened,
        peak=whole.peak,
        watched_s=whole.watched_s,
        watched_each_s=whole.watched_s / whole.opened if whole.opened else 0.0,
        viewers=sum(one.share.watched_s for one in of.minutes) / span_s if span_s else 0.0,
        reservations=of.reservations,
        point_s=width * MINUTE_S,
        points=[_point(of.minutes[at : at + width]) for at in range(0, len(of.minutes), width)],
        places=[
            PlaceOut(
                access_node=one.access_node,
                edge_node=one.edge_node,
                now=one.now,
                **vars(one.share),
                share=one.share.watched_s / whole.watched_s if whole.watched_s else 0.0,
            )
            for one in of.places
        ],
        protocols=[
            ProtocolOut(
                protocol=one.protocol,
                **vars(one.share),
                share=one.share.watched_s / known_s if known_s else 0.0,
            )
            for one in of.protocols
        ],
    )


def _demand(of: Demand) -> DemandOut:
    made = of.prediction
    viewers = made.viewers if made is not None else {}
    return DemandOut(
        predicted_at=to_rfc3339(made.made_s) if made is not None else None,
        expected=sum(viewers.values()),
        reservations=made.reservations if made is not None else 0,
        show_up=made.show_up if made is not None else 0.0,
        walk_ins=made.walk_ins if made is not None else 0.0,
        earlier_events=made.earlier if made is not None else 0,
        points=[
            DemandPointOut(at=to_rfc3339(one.at_s), expected=one.expected, viewers=one.present)
            for one in of.points
        ],
        nodes=[
            NodeDemandOut(
                access_node=node,
                expected=viewers.get(node, 0.0),
                viewers=of.present.get(node, 0),
            )
            for node in sorted({*viewers, *of.present})
        ],
    )


def _point(minutes: Sequence[Minute]) -> PointOut:
    share = Share()
    for one in minutes:
        share = share.plus(one.share)
    return PointOut(
        at=to_rfc3339(minutes[0].at_s),
        viewers=share.watched_s / (len(minutes) * MINUTE_S),
        peak=share.peak,
        opened=share.opened,
    )


def _minutes(event: Event, of: Attendance) -> str:
    head = ("event", "minute", "viewers_average", "viewers_peak", "sessions_opened")
    return csv_tables.serialize(
        head,
        (
            (
                event.title,
                to_rfc3339(one.at_s),
                round(one.share.watched_s / MINUTE_S, 3),
                one.share.peak,
                one.share.opened,
            )
            for one in of.minutes
        ),
    )


def _places(event: Event, of: Attendance) -> str:
    head = ("event", "access_node", "edge_node", "sessions_opened", "watched_s", "viewers_peak")
    return csv_tables.serialize(
        head,
        (
            (
                event.title,
                one.access_node,
                one.edge_node,
                one.share.opened,
                round(one.share.watched_s, 1),
                one.share.peak,
            )
            for one in of.places
        ),
    )


def _protocols(event: Event, of: Attendance) -> str:
    head = ("event", "protocol", "sessions_opened", "watched_s", "viewers_peak")
    return csv_tables.serialize(
        head,
        (
            (
                event.title,
                one.protocol,
                one.share.opened,
                round(one.share.watched_s, 1),
                one.share.peak,
            )
            for one in of.protocols
        ),
    )


_TABLES = {
    CsvTable.MINUTES: _minutes,
    CsvTable.PLACES: _places,
    CsvTable.PROTOCOLS: _protocols,
}
