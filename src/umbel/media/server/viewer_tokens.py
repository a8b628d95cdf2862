"""Who may watch: viewers' tokens, checked with the public key alone and remembered until they end.

In: a token and the stream it is shown for. Out: the viewer's session, or 401 or 403.
"""

from umbel.kit.clock import Clock
from umbel.kit.tokens import VIEWER, Claims, TokenExpired, TokenForeign, Verifier

_MOST_KNOWN = 20_000


class ViewerTokens:
    """Checking a signature costs as much as sending twenty packets: once per token is enough."""

    def __init__(self, verifier: Verifier, clock: Clock) -> None:
        self._verifier = verifier
        self._clock = clock
        self._known: dict[str, Claims] = {}

    def session(self, token: str, stream: str) -> str:
        """Whose token it is. Raises TokenMissing, TokenInvalid, TokenExpired or TokenForeign."""
        now_s = self._clock.now_s()
        claims = self._known.get(token)
        if claims is None:
            claims = self._verifier.verify(token, VIEWER, now_s=now_s)
            self._remember(token, claims)
        if claims.expires_s <= now_s:
            del self._known[token]
            raise TokenExpired
        if claims.scope != stream:
            raise TokenForeign
        return claims.subject

    def _remember(self, token: str, claims: Claims) -> None:
        if len(self._known) >= _MOST_KNOWN:
            del self._known[next(iter(self._known))]
        self._known[token] = claims
