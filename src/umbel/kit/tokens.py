"""Signed tokens: Ed25519 JWTs (RFC 7519, RFC 8037). The signer is the control plane alone; an
edge holds only the public key and checks a viewer without asking home.
"""

import re
from dataclasses import dataclass

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from umbel.kit.errors import Forbidden, Unauthenticated

_ALGORITHM = "EdDSA"
# RFC 7515, section 2: without padding, so that a token has one spelling.
_TOKEN = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+){2}")
VIEWER = "umbel:viewer"
USER = "umbel:user"
WEB = "umbel:web"
FORM = "umbel:form"
RESET = "umbel:reset"
EVENT = "umbel:event"
REPLAY = "umbel:replay"


class TokenMissing(Unauthenticated):
    """A token is needed: send it as `Authorization: Bearer ...`."""

    code = "umbel.token_missing"


class TokenExpired(Unauthenticated):
    """The token has expired; request a new one."""

    code = "umbel.token_expired"


class TokenRevoked(Unauthenticated):
    """The session that the token belongs to has ended; open another."""

    code = "umbel.token_revoked"


class TokenInvalid(Unauthenticated):
    """The token was not signed by this platform or is damaged."""

    code = "umbel.token_invalid"


class TokenForeign(Forbidden):
    """The token is valid, but not for this resource."""

    code = "umbel.token_foreign"


@dataclass(frozen=True, kw_only=True)
class Claims:
    """Who (`subject`: a session or a user), for what (`scope`: an event or roles), until when.

    A user's `generation` names the account and its password: another of either ends the token."""

    subject: str
    scope: str
    expires_s: float
    generation: str = ""


def new_private_key() -> bytes:
    """A fresh Ed25519 key as PEM (PKCS#8)."""
    key = Ed25519PrivateKey.generate()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


class Signer:
    """Makes tokens. Raises ValueError when that is no Ed25519 key."""

    def __init__(self, private_key: bytes) -> None:
        key = load_pem_private_key(private_key, password=None)
        if not isinstance(key, Ed25519PrivateKey):
            raise ValueError("the signing key must be Ed25519")  # noqa: TRY004 -- of a file
        self._key = key
        public = key.public_key()
        self.public_key = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def sign(self, claims: Claims, audience: str) -> str:
        """The token's text."""
        body = {
            "sub": claims.subject,
            "scope": claims.scope,
            "aud": audience,
            "exp": int(claims.expires_s),
        }
        if claims.generation:
            body["gen"] = claims.generation
        return jwt.encode(body, self._key, algorithm=_ALGORITHM)


class Verifier:
    """Checks tokens with the public key alone."""

    def __init__(self, public_key: bytes) -> None:
        self._key = public_key

    def verify(self, token: str, audience: str, *, now_s: float) -> Claims:
        """The claims. Raises TokenMissing, TokenExpired, TokenInvalid or TokenForeign."""
        if not token:
            raise TokenMissing
        if not _TOKEN.fullmatch(token):
            raise TokenInvalid
        try:
            body = jwt.decode(
                token,
                self._key,
                algorithms=[_ALGORITHM],
                audience=audience,
                options={"require": ["sub", "scope", "exp", "aud"], "verify_exp": False},
            )
        except jwt.InvalidAudienceError as error:
            raise TokenForeign from error
        except jwt.InvalidTokenError as error:
            raise TokenInvalid from error
        if not isinstance(body["exp"], int) or body["exp"] <= now_s:
            raise TokenExpired
        return Claims(
            subject=body["sub"],
            scope=str(body["scope"]),
            expires_s=body["exp"],
            generation=str(body.get("gen", "")),
        )
