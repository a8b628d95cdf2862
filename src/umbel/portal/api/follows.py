"""Providers that one follows, and what is live of them and of one's reservations."""

from pydantic import BaseModel

from umbel.catalogue.follows.model import Follow
from umbel.kit.clock import to_rfc3339
from umbel.portal import auth
from umbel.portal.api.resource import Resource

router = Resource(prefix="/api/v1", tags=["follows"])


class FollowOut(BaseModel):
    """A provider that one follows."""

    provider_id: str
    provider_name: str
    since: str


class LiveNoticeOut(BaseModel):
    """An event that is live now, reserved or of a provider that one follows."""

    event_id: str
    title: str
    provider_name: str


@router.get("/me/following")
async def list_following(system: auth.SystemDep, user: auth.SignedIn) -> list[FollowOut]:
    """Whom one follows, by name."""
    return [_response(one) for one in await system.catalogue.follows.every(user.username)]


@router.put("/me/following/{provider_id}")
async def follow(system: auth.SystemDep, user: auth.SignedIn, provider_id: str) -> FollowOut:
    """Follow a provider: one hears when a public event of it goes live."""
    return _response(await system.catalogue.follows.follow(user.username, provider_id))


@router.delete("/me/following/{provider_id}", status_code=204)
async def unfollow(system: auth.SystemDep, user: auth.SignedIn, provider_id: str) -> None:
    """Follow a provider no more. One that is not followed, is not an error."""
    await system.catalogue.follows.unfollow(user.username, provider_id)


@router.get("/me/live-notices")
async def list_live_notices(system: auth.SystemDep, user: auth.SignedIn) -> list[LiveNoticeOut]:
    """What is live now and to be shown in open pages; empty where one chose not to hear of it."""
    return [
        LiveNoticeOut(event_id=one.id, title=one.title, provider_name=one.provider_name)
        for one in await system.catalogue.follows.live(user.username)
    ]


def exported(follows: list[Follow]) -> list[dict[str, object]]:
    """As rows of the file with one's data."""
    return [_response(one).model_dump(mode="json") for one in follows]


def _response(of: Follow) -> FollowOut:
    return FollowOut(
        provider_id=of.provider_id,
        provider_name=of.provider_name,
        since=to_rfc3339(of.since_s),
    )
