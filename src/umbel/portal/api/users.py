"""Users, for operators."""

from umbel.portal import auth
from umbel.portal.api import shapes
from umbel.portal.api.resource import Resource
from umbel.portal.api.shapes import Me, UserIn

router = Resource(prefix="/api/v1/users", tags=["users"])


@router.get("")
async def list_users(system: auth.SystemDep, _operator: auth.Operator) -> list[Me]:
    """Every user by name."""
    return [shapes.me(user) for user in await system.catalogue.users()]


@router.post("", status_code=201)
async def add_user(system: auth.SystemDep, _operator: auth.Operator, given: UserIn) -> Me:
    """Create a user. The role `provider` needs a `provider_id`."""
    user = await system.catalogue.add_user(
        given.username, given.password, given.role, given.provider_id or ""
    )
    return shapes.me(user)


@router.delete("/{username}", status_code=204)
async def remove_user(system: auth.SystemDep, _operator: auth.Operator, username: str) -> None:
    """Delete a user. The user's tokens are no longer valid."""
    await system.catalogue.remove_user(username)
