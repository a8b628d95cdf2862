"""How a provider gets its stream in: where to push, with which key."""

from typing import Annotated, Any

from fastapi import Header, Request, Response
from pydantic import BaseModel, Field

from umbel.delivery.model import IngestPoint
from umbel.kit.errors import UnsupportedMediaType
from umbel.portal import auth
from umbel.portal.api.events import theirs
from umbel.portal.api.resource import Resource
from umbel.portal.api.shapes import Given, IpNetwork

router = Resource(prefix="/api/v1/events/{event_id}", tags=["ingest"])

_SDP = "application/sdp"
_SDP_TEXT: dict[str, Any] = {"content": {_SDP: {"schema": {"type": "string"}}}}


class PushTarget(BaseModel):
    """A UDP destination."""

    address: str
    port: int


class RtpTarget(PushTarget):
    """Where to send RTP, and where MPEG-TS over RTP or UDP."""

    mpegts: PushTarget | None


class IngestIn(Given):
    """IP addresses and prefixes of the encoders that push RTP or MPEG-TS, which have no key. An
    empty list: the first host that sends publishes. Left out: as it was."""

    sources: Annotated[list[IpNetwork], Field(max_length=64)] | None = None


class IngestOut(BaseModel):
    """Where an encoder pushes. The key is shown once, to the first who opens the ingest."""

    node: str
    rtmp: str | None
    srt: str | None
    whip: str | None
    rtp: RtpTarget | None
    sources: list[str]
    stream_key: str | None


class KeyOut(BaseModel):
    """A stream key, shown this once."""

    stream_key: str


@router.post("/ingest")
async def open_ingest(
    system: auth.SystemDep,
    user: auth.SignedIn,
    event_id: str,
    response: Response,
    given: IngestIn | None = None,
) -> IngestOut:
    """Start the ingest of the event. A second request returns the same addresses."""
    await theirs(system, user, event_id)
    named = given.sources if given is not None else None
    sources = None if named is None else tuple(dict.fromkeys(str(one) for one in named))
    key = await system.catalogue.issue_key(event_id)
    try:
        point = await system.delivery.open_ingest(event_id, sources)
    except BaseException:
        # The next caller gets a key then, not "shown before".
        if key is not None:
            await system.catalogue.withdraw_key(key)
        raise
    response.headers["Cache-Control"] = "no-store"
    return _response(point, key)


@router.post("/stream-key", status_code=201)
async def rotate_key(
    system: auth.SystemDep, user: auth.SignedIn, event_id: str, response: Response
) -> KeyOut:
    """Make a new stream key, for owners of the provider. The old key becomes invalid when the
    acquirer learns of it."""
    # It hears through the journal: were it told here, and away, the new key would be lost.
    event = await theirs(system, user, event_id)
    auth.may_own(user, event.provider_id)
    key = await system.catalogue.rotate_key(event_id)
    response.headers["Cache-Control"] = "no-store"
    return KeyOut(stream_key=key)


@router.post(
    "/ingest/rtp",
    response_class=Response,
    responses={200: {"description": "Where to send, and what", **_SDP_TEXT}},
    openapi_extra={"requestBody": {"required": True, **_SDP_TEXT}},
)
async def describe_rtp(
    system: auth.SystemDep,
    user: auth.SignedIn,
    event_id: str,
    request: Request,
    content_type: Annotated[str, Header(include_in_schema=False)] = "",
) -> Response:
    """Describe an RTP publisher's stream in SDP."""
    if content_type.partition(";")[0].strip().lower() != _SDP:
        raise UnsupportedMediaType(f"the body must be {_SDP}")
    await theirs(system, user, event_id)
    offer = (await request.body()).decode("utf-8", "replace")
    answer = await system.delivery.describe_rtp(event_id, offer)
    return Response(answer, media_type=_SDP)


def _response(point: IngestPoint, key: str | None) -> IngestOut:
    urls = point.urls
    rtp, mpegts = _at(urls.get("rtp", "")), _at(urls.get("mpegts", ""))
    return IngestOut(
        node=point.node,
        rtmp=urls.get("rtmp"),
        srt=urls.get("srt"),
        whip=urls.get("whip"),
        rtp=RtpTarget(address=rtp.address, port=rtp.port, mpegts=mpegts) if rtp else None,
        sources=list(point.sources),
        stream_key=key,
    )


def _at(text: str) -> PushTarget | None:
    address, colon, port = text.rpartition(":")
    return PushTarget(address=address.strip("[]"), port=int(port)) if colon else None
