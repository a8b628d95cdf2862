"""What may be played of recordings, as a token in the address of a playlist: players send no other
credentials, and any server that knows the public key can check it.

In: an extent, and why it may be played. Out: a token that is good for some hours, and the other way
as long as there is that reason.
"""

import math

from umbel.catalogue.model import Event, NoSuchEvent, NoSuchUser
from umbel.catalogue.visibility.model import PassPhraseNeeded, Watcher
from umbel.catalogue.visibility.rules import watch_right
from umbel.kit.errors import Unauthenticated
from umbel.kit.tokens import REPLAY, Claims, TokenForeign, TokenInvalid
from umbel.media.replay import grants
from umbel.media.replay.grants import GrantEnded
from umbel.portal import auth
from umbel.portal.ports import System
from umbel.recordings import rights
from umbel.recordings.model import Extent, NoReplay, NoSuchRecording, NoSuchShare
from umbel.recordings.rights import Right, RightKind

GRANT_S = 12 * 3600.0
"""Longer than somebody watches."""


def grant(
    system: System, extent: Extent, right: Right, *, until_s: float = math.inf
) -> tuple[str, float]:
    """A token to play the extent, and when it ends: at `until_s` at the latest."""
    expires_s = min(system.clock.now_s() + GRANT_S, until_s)
    times = grants.scope_of(extent.from_s, extent.until_s)
    claims = Claims(
        subject=extent.capture_id,
        scope=f"{times}/{right.serialize()}",
        expires_s=expires_s,
        generation=right.phrase_generation,
    )
    return system.signer.sign(claims, REPLAY), expires_s


async def extent_of(system: System, token: str) -> Extent:
    """What the token lets its holder play. Raises TokenExpired, TokenInvalid, TokenForeign, and
    GrantEnded as soon as there is no right to it."""
    claims = system.verifier.verify(token, REPLAY, now_s=system.clock.now_s())
    given = grants.parse(claims, token)
    try:
        right = rights.parse(given.right, claims.generation)
    except ValueError as error:
        raise TokenInvalid from error
    await _require(system, right)
    return Extent(capture_id=given.capture_id, from_s=given.from_s, until_s=given.until_s)


async def is_ended(system: System, token: str) -> bool:
    """Whether its holder may not play any more, whatever the token says. Raises Unavailable."""
    try:
        await extent_of(system, token)
    except (GrantEnded, TokenForeign, Unauthenticated):
        return True
    return False


def right_to(event: Event, by: Watcher) -> Right:
    """The right of who may watch the event to see it again. It names them only where the event is
    not for everybody."""
    given = watch_right(event, by)
    return Right(
        kind=RightKind.EVENT,
        of=event.id,
        username=given.username,
        phrase_generation=given.phrase_generation,
    )


async def _require(system: System, right: Right) -> None:
    """Raises GrantEnded."""
    try:
        if right.kind is RightKind.EVENT:
            await system.catalogue.audiences.event(right.of, await _watcher(system, right))
        await system.recordings.require(right)
    except (
        *(NoSuchUser, NoSuchEvent, PassPhraseNeeded),
        *(NoSuchRecording, NoSuchShare, NoReplay),
    ) as error:
        raise GrantEnded from error


async def _watcher(system: System, right: Right) -> Watcher:
    """Who has the right, as the catalogue has them now. Raises NoSuchUser."""
    user = await system.catalogue.user(right.username) if right.username else None
    return auth.with_grant(auth.watcher_of(user), right.of, right.phrase_generation)
