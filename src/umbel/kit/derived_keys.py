"""Keys and tokens that follow from a secret by HKDF (RFC 5869), so that no file holds them.

In: a secret, and what the key is for. Out: the same key each time, another one for each purpose.
"""

import base64

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

_P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def ed25519(secret: bytes, purpose: bytes) -> Ed25519PrivateKey:
    """The key for that purpose."""
    return Ed25519PrivateKey.from_private_bytes(_derived(secret, purpose))


def token(secret: bytes, purpose: bytes) -> str:
    """A bearer token for that purpose: 43 letters, digits, - or _."""
    return base64.urlsafe_b64encode(_derived(secret, purpose)).rstrip(b"=").decode()


def pem(key: Ed25519PrivateKey) -> bytes:
    """The private key as PEM (PKCS #8), not encrypted."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _derived(secret: bytes, purpose: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=purpose).derive(secret)


def p256(secret: bytes, purpose: bytes) -> ec.EllipticCurvePrivateKey:
    """The key of P-256 for that purpose (FIPS 186-5, A.2.1: more bits than the order has)."""
    bits = HKDF(algorithm=SHA256(), length=48, salt=None, info=purpose).derive(secret)
    return ec.derive_private_key(int.from_bytes(bits) % (_P256_ORDER - 1) + 1, ec.SECP256R1())
