"""What may be played of recordings, as a token in the address of a playlist: players send no other
credentials, and any server that knows the public key can check it.

In: an extent. Out: a token that is good for some hours, and the other way.
"""

import math

from umbel.kit.tokens import REPLAY, Claims, TokenInvalid
from umbel.portal.ports import System
from umbel.recordings.model import Extent

GRANT_S = 12 * 3600.0
"""Longer than somebody watches."""


def grant(system: System, extent: Extent, *, until_s: float = math.inf) -> tuple[str, float]:
    """A token to play the extent, and when it ends: at `until_s` at the latest."""
    expires_s = min(system.clock.now_s() + GRANT_S, until_s)
    scope = "/".join("" if at is None else repr(at) for at in (extent.from_s, extent.until_s))
    claims = Claims(subject=extent.capture_id, scope=scope, expires_s=expires_s)
    return system.signer.sign(claims, REPLAY), expires_s


def extent_of(system: System, token: str) -> Extent:
    """What the token lets its holder play. Raises TokenExpired, TokenInvalid, TokenForeign."""
    claims = system.verifier.verify(token, REPLAY, now_s=system.clock.now_s())
    try:
        from_s, until_s = (float(at) if at else None for at in claims.scope.split("/"))
    except ValueError as error:
        raise TokenInvalid from error
    return Extent(capture_id=claims.subject, from_s=from_s, until_s=until_s)
