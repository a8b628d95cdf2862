"""A stream's sessions whose tokens are valid no more, though their signatures are. Pure.

In: sessions that the control plane closed. Out: TokenRevoked where such a token is shown. What has
expired by itself is forgotten.
"""

from collections.abc import Mapping

from umbel.kit.tokens import TokenRevoked
from umbel.media.model import MOST_REVOKED


class RevokedSessions:
    """At most MOST_REVOKED; the first that came go first."""

    def __init__(self) -> None:
        self._expires_s: dict[str, int] = {}

    def add(self, sessions: Mapping[str, int], now_s: float) -> None:
        """Refuse these, too: by session, the epoch second at which its token expires."""
        both = self._expires_s | dict(sessions)
        valid = [(session, end_s) for session, end_s in both.items() if end_s > now_s]
        self._expires_s = dict(valid[-MOST_REVOKED:])

    def check(self, session: str) -> None:
        """Raises TokenRevoked."""
        if session in self._expires_s:
            raise TokenRevoked
