"""The platform's key for SSH: Ed25519, derived from the master key, so that nothing is stored.

Every instance over the same `keys/` has it, a backup holds it, and a restart makes the same one.
"""

from dataclasses import dataclass, field

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from umbel.kit import derived_keys

_PURPOSE = b"umbel machines' SSH key 1"


@dataclass(frozen=True, kw_only=True)
class SshKey:
    """`private` is PEM (PKCS #8); `public` one line for `authorized_keys`."""

    private: str = field(repr=False)
    public: str


def derive(master: bytes) -> SshKey:
    """The key of an installation with this master key."""
    key = derived_keys.ed25519(master, _PURPOSE)
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    return SshKey(private=derived_keys.pem(key).decode(), public=f"{public.decode()} umbel")
