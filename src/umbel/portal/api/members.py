"""Who works for a provider: owners see to the team, members see who is in it."""

from pydantic import BaseModel

from umbel.catalogue.model import MemberRole
from umbel.catalogue.team.model import Member
from umbel.portal import auth
from umbel.portal.api.resource import Resource
from umbel.portal.api.shapes import Given

router = Resource(prefix="/api/v1/providers/{provider_id}/members", tags=["providers"])


class MemberIn(Given):
    """What somebody may do: an owner everything, an editor run events."""

    role: MemberRole


class MemberOut(BaseModel):
    """Somebody who works for the provider."""

    username: str
    role: MemberRole


@router.get("")
async def list_members(
    system: auth.SystemDep, user: auth.SignedIn, provider_id: str
) -> list[MemberOut]:
    """List the provider's members by name, for them and for operators."""
    auth.may_run(user, provider_id)
    return [_response(one) for one in await system.catalogue.teams.members(provider_id)]


@router.put("/{username}")
async def put_member(
    system: auth.SystemDep, user: auth.SignedIn, provider_id: str, username: str, given: MemberIn
) -> MemberOut:
    """Have an account as a member, or change what it may do; for owners and operators."""
    auth.may_own(user, provider_id)
    return _response(await system.catalogue.teams.put(provider_id, username, given.role))


@router.delete("/{username}", status_code=204)
async def remove_member(
    system: auth.SystemDep, user: auth.SignedIn, provider_id: str, username: str
) -> None:
    """Remove a member, for owners and operators; everybody may leave. The last owner stays."""
    auth.may_run(user, provider_id)
    if username != user.username:
        auth.may_own(user, provider_id)
    await system.catalogue.teams.remove(provider_id, username)


def _response(of: Member) -> MemberOut:
    return MemberOut(username=of.username, role=of.role)
