"""Who may watch live.

In: a viewer's token and the stream it is shown for. Out: the viewer's session, or 401 or 403.
"""

from umbel.kit.clock import Clock
from umbel.kit.tokens import VIEWER, TokenForeign, Verifier
from umbel.media.server.verified_tokens import VerifiedTokens


class ViewerTokens:
    """Of all streams."""

    def __init__(self, verifier: Verifier, clock: Clock) -> None:
        self._tokens = VerifiedTokens(verifier, VIEWER, clock)

    def session(self, token: str, stream: str) -> str:
        """Whose token it is. Raises TokenMissing, TokenInvalid, TokenExpired or TokenForeign."""
        claims = self._tokens.claims(token)
        if claims.scope != stream:
            raise TokenForeign
        return claims.subject
