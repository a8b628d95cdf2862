"""Tokens that are checked with the public key alone and remembered until they end.

In: tokens of one audience. Out: their claims, or 401 or 403. Neighbours: viewer_tokens.py for live
streams, replays.py for recordings.
"""

from umbel.kit.clock import Clock
from umbel.kit.tokens import Claims, TokenExpired, Verifier

_MOST_KNOWN = 20_000


class VerifiedTokens:
    """Checking a signature costs as much as sending twenty packets: once per token is enough."""

    def __init__(self, verifier: Verifier, audience: str, clock: Clock) -> None:
        self._verifier = verifier
        self._audience = audience
        self._clock = clock
        self._known: dict[str, Claims] = {}

    def claims(self, token: str) -> Claims:
        """What it says. Raises TokenMissing, TokenInvalid, TokenExpired or TokenForeign."""
        now_s = self._clock.now_s()
        claims = self._known.get(token)
        if claims is None:
            claims = self._verifier.verify(token, self._audience, now_s=now_s)
            if len(self._known) >= _MOST_KNOWN:
                del self._known[next(iter(self._known))]
            self._known[token] = claims
        if claims.expires_s <= now_s:
            del self._known[token]
            raise TokenExpired
        return claims
