"""Slices: a guaranteed and a greatest rate for an event's tree, or between two of its functions."""

from typing import Annotated, Self

from pydantic import BaseModel, Field, model_validator

from umbel.kit.clock import to_rfc3339
from umbel.network.service import Grade, Guarantee, LinkShare, SliceRequest, SliceStatus, Traffic
from umbel.portal import auth
from umbel.portal.api.resource import Resource
from umbel.portal.api.shapes import Given

router = Resource(prefix="/api/v1/slices", tags=["slices"])

FunctionId = Annotated[str, Field(min_length=1, max_length=128)]


class SliceIn(Given):
    """A new slice, of an event's whole tree or of what goes from one function to another: one of
    `event_id` and `functions`."""

    grade: Grade
    event_id: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    functions: Annotated[list[FunctionId], Field(min_length=2, max_length=2)] | None = None

    @model_validator(mode="after")
    def _one_subject(self) -> Self:
        if (self.event_id is None) == (self.functions is None):
            raise ValueError("one of event_id and functions")
        if self.functions is not None and self.functions[0] == self.functions[1]:
            raise ValueError("functions: two different ones")
        return self


class TrafficOut(BaseModel):
    """What was counted since this control plane watches, and lately."""

    packets: int
    bytes: int
    drops: int
    mbps: float
    drops_per_s: float


class SliceLinkOut(BaseModel):
    """A link that the slice's packets cross in this direction. `guaranteed`: the least rate is
    kept there; `no_room`: the stream came there when the link was full; `no_queue`: the node has
    no queue for it now."""

    source: str
    target: str
    state: Guarantee
    traffic: TrafficOut


class SliceOut(BaseModel):
    """A slice. Rates in Mbit/s of the stream's Ethernet frames. `offered` is what came into it,
    its drops are over `max_mbps`; the links' drops are the congestion's."""

    id: str
    grade: Grade
    event_id: str | None
    functions: list[str] | None
    events: list[str]
    number: int
    dscp: int
    min_mbps: float
    max_mbps: float
    opened_at: str
    guaranteed: bool
    offered: TrafficOut
    links: list[SliceLinkOut]


class ShareOut(BaseModel):
    """One direction of a link: what is promised of it and what is left to promise, in Mbit/s;
    what its tunnel sent, and what belonged to no slice."""

    source: str
    target: str
    mbps: float
    promised_mbps: float
    left_mbps: float
    tunnel: TrafficOut
    rest: TrafficOut


@router.get("")
async def list_slices(system: auth.SystemDep, _operator: auth.Operator) -> list[SliceOut]:
    """Every slice with its statistics, oldest first."""
    return [_slice(one) for one in await system.network.slices.all()]


@router.post("", status_code=201)
async def open_slice(system: auth.SystemDep, _operator: auth.Operator, given: SliceIn) -> SliceOut:
    """Open a slice. It is refused where a link cannot guarantee its rate."""
    if given.event_id is not None:
        await system.catalogue.event(given.event_id)
    functions = (given.functions[0], given.functions[1]) if given.functions else None
    request = SliceRequest(grade=given.grade, stream=given.event_id or "", functions=functions)
    return _slice(await system.network.slices.open(request))


@router.get("/links")
async def list_shares(system: auth.SystemDep, _operator: auth.Operator) -> list[ShareOut]:
    """List for each link and direction the reserved rate and the current load."""
    return [_share(one) for one in await system.network.slices.shares()]


@router.get("/{slice_id}")
async def get_slice(system: auth.SystemDep, _operator: auth.Operator, slice_id: str) -> SliceOut:
    """One slice with its statistics."""
    return _slice(await system.network.slices.one(slice_id))


@router.delete("/{slice_id}", status_code=204)
async def close_slice(system: auth.SystemDep, _operator: auth.Operator, slice_id: str) -> None:
    """Close the slice. The stream continues."""
    await system.network.slices.end(slice_id)


def _slice(of: SliceStatus) -> SliceOut:
    request = of.granted.request
    links = [
        SliceLinkOut(
            source=one.source, target=one.target, state=one.state, traffic=_traffic(one.traffic)
        )
        for one in of.links
    ]
    return SliceOut(
        id=of.granted.id,
        grade=request.grade,
        event_id=request.stream or None,
        functions=list(request.functions) if request.functions else None,
        events=list(of.streams),
        number=of.granted.number,
        dscp=of.dscp,
        min_mbps=of.terms.min_mbps,
        max_mbps=of.terms.max_mbps,
        opened_at=to_rfc3339(of.granted.opened_s),
        guaranteed=all(one.state is Guarantee.GUARANTEED for one in links),
        offered=_traffic(of.offered),
        links=links,
    )


def _share(of: LinkShare) -> ShareOut:
    return ShareOut(
        source=of.source,
        target=of.target,
        mbps=of.mbps,
        promised_mbps=of.promised_mbps,
        left_mbps=of.left_mbps,
        tunnel=_traffic(of.tunnel),
        rest=_traffic(of.rest),
    )


def _traffic(of: Traffic) -> TrafficOut:
    return TrafficOut(
        packets=of.total.packets,
        bytes=of.total.bytes,
        drops=of.total.drops,
        mbps=of.mbps,
        drops_per_s=of.drops_per_s,
    )
