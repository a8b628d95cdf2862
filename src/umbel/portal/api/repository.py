"""The repository for applications, by the paths of Kurento's: items, their metadata, and an address
for each transfer."""

from typing import Annotated

from fastapi import Body, Query, Request
from pydantic import BaseModel, Field

from umbel.catalogue.model import User, UserRole
from umbel.kit.clock import to_rfc3339
from umbel.kit.errors import Forbidden
from umbel.portal import auth
from umbel.portal.api.resource import Resource
from umbel.portal.api.transfers import PATH
from umbel.portal.ports import System
from umbel.repository.model import LONGEST_KEY, LONGEST_VALUE, MOST_METADATA, Item
from umbel.repository.patterns import LONGEST_PATTERN
from umbel.repository.transfers.model import Direction

router = Resource(tags=["repository"])

_LONGEST_S = 10 * 366 * 86_400
Key = Annotated[str, Field(min_length=1, max_length=LONGEST_KEY)]
Value = Annotated[str, Field(max_length=LONGEST_VALUE)]
Metadata = Annotated[dict[Key, Value], Field(max_length=MOST_METADATA)]
Pattern = Annotated[str, Field(max_length=LONGEST_PATTERN)]
ByPattern = Annotated[dict[Key, Pattern], Field(max_length=MOST_METADATA)]


class ItemUrl(BaseModel):
    """An item, and an address for one transfer: to upload where it was just created, else to read
    it. It lasts UMBEL_REPOSITORY_URL_S after its last use."""

    id: str
    url: str


class ItemOut(BaseModel):
    """What is known of an item. `state` is `empty`, `stored`, or `damaged` (`problem` says why);
    `sha256` is hexadecimal, and empty of one that was uploaded in pieces."""

    id: str
    provider_id: str | None
    state: str
    size: int
    sha256: str
    content_type: str
    metadata: dict[str, str]
    problem: str
    created_at: str
    changed_at: str
    expires_at: str | None


class UsageOut(BaseModel):
    """What an owner's items take, in bytes, and may take at most."""

    items: int
    bytes: int
    quota_bytes: int


@router.post("/repo/item")
async def create_item(
    system: auth.SystemDep,
    user: auth.SignedIn,
    request: Request,
    given: Annotated[Metadata | None, Body(title="NewItemMetadata")] = None,
    provider_id: Annotated[str | None, Query(max_length=64)] = None,
    expires_in_s: Annotated[int | None, Query(ge=1, le=_LONGEST_S)] = None,
) -> ItemUrl:
    """Create an item with these metadata, and answer where to upload. It belongs to your provider;
    an operator's is the platform's, or that of the provider named."""
    owner = _owner(user) if provider_id is None else provider_id
    auth.may_run(user, owner)
    if provider_id is not None:
        await system.catalogue.provider(provider_id)
    item = await system.repository.create(owner, given or {}, expires_in_s=expires_in_s)
    return await _with_url(system, request, item.id, Direction.UPLOAD)


@router.get("/repo/item/{item_id}")
async def get_item(
    system: auth.SystemDep, user: auth.SignedIn, request: Request, item_id: str
) -> ItemUrl:
    """Answer where to read the item."""
    await owned(system, user, item_id)
    return await _with_url(system, request, item_id, Direction.DOWNLOAD)


@router.delete("/repo/item/{item_id}")
async def delete_item(system: auth.SystemDep, user: auth.SignedIn, item_id: str) -> None:
    """Delete the item with its bytes."""
    item = await owned(system, user, item_id)
    auth.may_own(user, item.owner)
    await system.repository.delete(item_id)


@router.post("/repo/item/find")
async def find_items(
    system: auth.SystemDep,
    user: auth.SignedIn,
    given: Annotated[Metadata | None, Body(title="MetadataSearch")] = None,
) -> list[str]:
    """List the ids of your provider's items, an operator's of all, that have all these metadata."""
    return await system.repository.find(given or {}, owner=_searched(user))


@router.post("/repo/item/find/regex")
async def find_items_by_regex(
    system: auth.SystemDep,
    user: auth.SignedIn,
    given: Annotated[ByPattern | None, Body(title="PatternSearch")] = None,
) -> list[str]:
    """The same, where each value is a regular expression (RE2) that matches a part of the item's
    value."""
    return await system.repository.find_regex(given or {}, owner=_searched(user))


@router.get("/repo/item/{item_id}/metadata")
async def get_item_metadata(
    system: auth.SystemDep, user: auth.SignedIn, item_id: str
) -> dict[str, str]:
    """The item's metadata."""
    return dict((await owned(system, user, item_id)).metadata)


@router.put("/repo/item/{item_id}/metadata")
async def set_item_metadata(
    system: auth.SystemDep,
    user: auth.SignedIn,
    item_id: str,
    given: Annotated[Metadata, Body(title="ItemMetadata")],
) -> dict[str, str]:
    """Replace all metadata of the item."""
    await owned(system, user, item_id)
    return dict((await system.repository.set_metadata(item_id, given)).metadata)


@router.get("/api/v1/repository/items/{item_id}")
async def describe_item(system: auth.SystemDep, user: auth.SignedIn, item_id: str) -> ItemOut:
    """What is known of the item."""
    item = await owned(system, user, item_id)
    return ItemOut(
        id=item.id,
        provider_id=item.owner or None,
        state=item.state.value,
        size=item.size,
        sha256=item.sha256,
        content_type=item.content_type,
        metadata=dict(item.metadata),
        problem=item.problem,
        created_at=to_rfc3339(item.created_s),
        changed_at=to_rfc3339(item.changed_s),
        expires_at=None if item.expires_s is None else to_rfc3339(item.expires_s),
    )


@router.get("/api/v1/repository/usage")
async def get_repository_usage(
    system: auth.SystemDep,
    user: auth.SignedIn,
    provider_id: Annotated[str | None, Query(max_length=64)] = None,
) -> UsageOut:
    """What your provider's items take; for an operator the platform's, or those of the provider
    named."""
    owner = _owner(user) if provider_id is None else provider_id
    auth.may_run(user, owner)
    usage = await system.repository.usage(owner)
    return UsageOut(items=usage.items, bytes=usage.bytes, quota_bytes=usage.quota_bytes)


async def owned(system: System, user: User, item_id: str) -> Item:
    """The item, if the user may have it. Raises NoSuchItem, Forbidden."""
    _searched(user)
    item = await system.repository.get(item_id)
    auth.may_run(user, item.owner)
    return item


def _owner(user: User) -> str:
    """Whose a new item is; the platform's own has no provider."""
    ids = [one.provider_id for one in user.memberships]
    return user.provider_id if user.provider_id in ids else next(iter(ids), "")


def _searched(user: User) -> str | None:
    """Whose items the user may find, None for all. Raises Forbidden."""
    if user.role is UserRole.OPERATOR:
        return None
    owner = _owner(user)
    if not owner:
        raise Forbidden
    return owner


async def _with_url(
    system: System, request: Request, item_id: str, direction: Direction
) -> ItemUrl:
    secret = await system.repository.transfers.open(item_id, direction)
    return ItemUrl(id=item_id, url=f"{str(request.base_url).rstrip('/')}{PATH}/{secret}")
