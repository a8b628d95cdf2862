"""The platform's key for SSH: Ed25519, derived from the master key, so that nothing is stored.

Every instance over the same `keys/` has it, a backup holds it, and a restart makes the same one.
"""

from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

_PURPOSE = b"umbel machines' SSH key 1"


@dataclass(frozen=True, kw_only=True)
class SshKey:
    """`private` is PEM (PKCS #8); `public` one line for `authorized_keys`."""

    private: str = field(repr=False)
    public: str


def derive(master: bytes) -> SshKey:
    """The key of an installation with this master key (HKDF, RFC 5869)."""
    seed = HKDF(algorithm=SHA256(), length=32, salt=None, info=_PURPOSE).derive(master)
    key = Ed25519PrivateKey.from_private_bytes(seed)
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return SshKey(private=private.decode(), public=f"{public.decode()} umbel")
