"""Observers' callbacks: who gets what, the state of each, and a way to try one. For operators."""

from typing import Annotated

from fastapi import Response
from pydantic import BaseModel, Field

from umbel.kit.clock import to_rfc3339
from umbel.notify import callbacks
from umbel.notify.model import Kind, SubscriberState
from umbel.notify.service import Standing
from umbel.portal import auth
from umbel.portal.api.resource import Resource
from umbel.portal.api.shapes import Given

router = Resource(prefix="/api/v1/notifications", tags=["notifications"])

Url = Annotated[
    str,
    Field(
        min_length=1,
        max_length=callbacks.MOST_CHARACTERS,
        description="http or https, without user, password and fragment",
    ),
]
Kinds = Annotated[list[Kind], Field(min_length=1, max_length=len(Kind))]


class CallbackIn(Given):
    """Where to POST what happens, and which kinds of it; `note` is for people."""

    url: Url
    kinds: Kinds
    note: Annotated[str, Field(max_length=200)] = ""


class CallbackOut(BaseModel):
    """A callback and how it does. `waiting` notices are queued for it by the instance asked;
    `delivered` were taken; `dropped` were lost because it was too slow, which it sees as a gap in
    `sequence`; `failures` count in a row. One that is `dead` gets nothing until a ping succeeds."""

    id: str
    url: str
    kinds: list[Kind]
    note: str
    created_at: str
    state: SubscriberState
    sequence: int
    waiting: int
    delivered: int
    dropped: int
    failures: int
    last_error: str
    last_error_at: str | None
    last_answer_at: str | None
    retry_at: str | None


class Registered(CallbackOut):
    """A new callback with the secret its POSTs are signed with, shown this once."""

    secret: str


class PingOut(BaseModel):
    """What a test notice came to."""

    delivered: bool
    error: str
    took_ms: float


@router.get("")
async def list_callbacks(system: auth.SystemDep, _operator: auth.Operator) -> list[CallbackOut]:
    """List the callbacks in the order of registration."""
    return [CallbackOut(**_response(one)) for one in await system.notifier.subscribers()]


@router.post("", status_code=201)
async def register_callback(
    system: auth.SystemDep, _operator: auth.Operator, given: CallbackIn, response: Response
) -> Registered:
    """Register a callback: send all later events to a URL."""
    made, secret = await system.notifier.register(given.url, given.kinds, given.note)
    response.headers["Cache-Control"] = "no-store"
    return Registered(**_response(Standing(subscriber=made)), secret=secret)


@router.get("/{subscriber_id}")
async def get_callback(
    system: auth.SystemDep, _operator: auth.Operator, subscriber_id: str
) -> CallbackOut:
    """One callback."""
    return CallbackOut(**_response(await system.notifier.subscriber(subscriber_id)))


@router.delete("/{subscriber_id}", status_code=204)
async def remove_callback(
    system: auth.SystemDep, _operator: auth.Operator, subscriber_id: str
) -> None:
    """Delete the callback."""
    await system.notifier.remove(subscriber_id)


@router.post("/{subscriber_id}/ping")
async def ping_callback(
    system: auth.SystemDep, _operator: auth.Operator, subscriber_id: str
) -> PingOut:
    """Send a test notice now. A successful response revives a dead callback."""
    pinged = await system.notifier.ping(subscriber_id)
    return PingOut(
        delivered=not pinged.error,
        error=pinged.error,
        took_ms=round(pinged.took_s * 1000, 3),
    )


def _response(standing: Standing) -> dict[str, object]:
    of, progress = standing.subscriber, standing.subscriber.progress
    is_failing = progress.state is SubscriberState.FAILING
    return {
        "id": of.id,
        "url": of.url,
        "kinds": sorted(of.kinds),
        "note": of.note,
        "created_at": to_rfc3339(of.created_s),
        "state": progress.state,
        "sequence": progress.sequence,
        "waiting": standing.waiting,
        "delivered": progress.delivered,
        "dropped": progress.dropped,
        "failures": progress.failures,
        "last_error": progress.last_error,
        "last_error_at": _time(progress.last_error_s),
        "last_answer_at": _time(progress.last_answer_s),
        "retry_at": _time(progress.retry_at_s) if is_failing else None,
    }


def _time(at_s: float | None) -> str | None:
    return None if at_s is None else to_rfc3339(at_s)
