"""A member of a provider's team, and why somebody cannot come or go."""

from dataclasses import dataclass

from umbel.catalogue.model import MemberRole
from umbel.kit.errors import Conflict, NotFound

MOST_MEMBERS = 100


class LastOwner(Conflict):
    """A provider has an owner: make somebody else one first."""

    code = "umbel.last_owner"


class NoSuchMember(NotFound):
    """This account does not work for the provider."""

    code = "umbel.no_such_member"


class TooManyMembers(Conflict):
    """The provider has as many members as there may be."""

    code = "umbel.too_many_members"


@dataclass(frozen=True, kw_only=True)
class Member:
    """Somebody who works for a provider."""

    username: str
    role: MemberRole
