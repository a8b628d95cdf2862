"""Ed25519 keys that follow from a secret by HKDF (RFC 5869), so that no file holds them.

In: a secret, and what the key is for. Out: the same key each time, another one for each purpose.
"""

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat


def ed25519(secret: bytes, purpose: bytes) -> Ed25519PrivateKey:
    """The key for that purpose."""
    seed = HKDF(algorithm=SHA256(), length=32, salt=None, info=purpose).derive(secret)
    return Ed25519PrivateKey.from_private_bytes(seed)


def pem(key: Ed25519PrivateKey) -> bytes:
    """The private key as PEM (PKCS #8), not encrypted."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
