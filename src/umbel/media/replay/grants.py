"""What somebody may play of a capture, as a signed token says it.

In: claims of a token. Out: the capture, and from when until when; None is its own beginning, or
end. The front end and edges read the same tokens. Neighbour: `portal.grants` makes them.
"""

import hashlib
from dataclasses import dataclass, field

from umbel.kit.errors import Forbidden
from umbel.kit.tokens import Claims, TokenInvalid

_ID_LENGTH = 32


class GrantEnded(Forbidden):
    """This may not be played any more: it was deleted, its link was revoked, or the event is not
    open to you any more. Open its page again."""

    code = "umbel.grant_ended"


@dataclass(frozen=True, kw_only=True, slots=True)
class ReplayGrant:
    """`id` names the token without giving it away; `right` says why its holder may play, to those
    who know (`recordings.rights`)."""

    id: str
    capture_id: str
    from_s: float | None
    until_s: float | None
    expires_s: float
    right: str = ""
    token: str = field(default="", repr=False)

    def covers(self, began_s: float, ended_s: float) -> bool:
        """Whether something of what was recorded in that time may be played."""
        return (self.from_s is None or ended_s > self.from_s) and (
            self.until_s is None or began_s < self.until_s
        )


def scope_of(from_s: float | None, until_s: float | None) -> str:
    """The range of time, as a token's scope begins. What follows another slash is the right."""
    return "/".join("" if at is None else repr(at) for at in (from_s, until_s))


def parse(claims: Claims, token: str) -> ReplayGrant:
    """What the token grants. Raises TokenInvalid."""
    try:
        first, last, right = claims.scope.split("/", 2)
        from_s, until_s = (float(at) if at else None for at in (first, last))
    except ValueError as error:
        raise TokenInvalid from error
    return ReplayGrant(
        id=id_of(token),
        capture_id=claims.subject,
        from_s=from_s,
        until_s=until_s,
        right=right,
        token=token,
        expires_s=claims.expires_s,
    )


def id_of(token: str) -> str:
    """The token's name, the same everywhere."""
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()[:_ID_LENGTH]
