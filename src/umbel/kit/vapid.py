"""Who sends a push (RFC 8292): an application server's key, and the token that push services check.

In: the key, the origin of a push service, the time. Out: the Authorization header. Tokens are kept
for half of their life, for each origin.
"""

from dataclasses import dataclass, field

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

from umbel.kit import push_encryption
from umbel.kit.push_encryption import BadPushMessage

_LIFE_S = 12 * 3_600
_LONGEST_S = 24 * 3_600  # RFC 8292, section 2
_MOST_ORIGINS = 256
_ALGORITHM = "ES256"


@dataclass(frozen=True, kw_only=True)
class Vapid:
    """`contact` is a mailto: or https: URL of the operator's, or empty."""

    key: ec.EllipticCurvePrivateKey = field(repr=False)
    contact: str = ""
    _tokens: dict[str, tuple[float, str]] = field(default_factory=dict, repr=False)

    @property
    def public_key(self) -> str:
        """What browsers subscribe with (`applicationServerKey`)."""
        return push_encryption.encode(push_encryption.point_of(self.key.public_key()))

    def authorization(self, origin: str, now_s: float) -> str:
        """The header for a push service, such as https://push.example.net."""
        until_s, token = self._tokens.get(origin, (0.0, ""))
        if not now_s < until_s <= now_s + _LIFE_S / 2:
            claims = {"aud": origin, "exp": int(now_s + _LIFE_S)}
            claims |= {"sub": self.contact} if self.contact else {}
            token = jwt.encode(claims, self.key, algorithm=_ALGORITHM)
            if len(self._tokens) >= _MOST_ORIGINS:
                self._tokens.clear()
            self._tokens[origin] = (now_s + _LIFE_S / 2, token)
        return f"vapid t={token}, k={self.public_key}"


def check(header: str, origin: str, now_s: float) -> str:
    """The public key that signed the header for this push service: the service's side, for tests.
    Raises BadPushMessage."""
    scheme, _, rest = header.partition(" ")
    given = dict(part.strip().partition("=")[::2] for part in rest.split(","))
    if scheme.lower() != "vapid" or not {"t", "k"} <= given.keys():
        raise BadPushMessage("not a VAPID header")
    key = push_encryption.PushKeys(push_encryption.decode(given["k"]), b"").public_key
    try:
        claims = jwt.decode(
            given["t"],
            key,
            algorithms=[_ALGORITHM],
            audience=origin,
            options={"require": ["aud", "exp"], "verify_exp": False},
        )
    except jwt.InvalidTokenError as error:
        raise BadPushMessage(f"token: {error}") from error
    if not now_s < claims["exp"] <= now_s + _LONGEST_S:
        raise BadPushMessage("the token has expired, or is valid for more than a day")
    return given["k"]
