"""Messages for browsers, encrypted so that no push service reads them (RFC 8291, aes128gcm of RFC
8188). Pure: salt and key are arguments.

In: a subscription's public key and its secret, as browsers give them, and a text. Out: the body of
a push. `decrypt` is the browser's side, for tests.
"""

import base64
import binascii
import struct
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from umbel.kit.errors import Invalid

MOST_PAYLOAD = 3_993
"""A push service takes bodies of 4 096 bytes (RFC 8030, section 7.2): head, end and tag are 103."""
CURVE = ec.SECP256R1()
SALT_BYTES = 16
_SECRET_BYTES = 16
_POINT_BYTES = 65
_RECORD = 4_096
_TAG_BYTES = 16
_HEAD = struct.Struct(f">{SALT_BYTES}sIB")
_LAST = b"\x02"


class BadPushMessage(Invalid):
    """The message or the keys of the subscription are not as web push has them."""

    code = "umbel.bad_push_message"


class PushKeys(NamedTuple):
    """A subscription's: the browser's public key as a point, and the secret that both share."""

    point: bytes
    secret: bytes

    @property
    def public_key(self) -> ec.EllipticCurvePublicKey:
        """The point as a key. Raises BadPushMessage."""
        return _public(self.point)


def parse_keys(p256dh: str, auth: str) -> PushKeys:
    """The keys, of base64url without padding. Raises BadPushMessage."""
    keys = PushKeys(point=decode(p256dh), secret=decode(auth))
    if len(keys.secret) != _SECRET_BYTES:
        raise BadPushMessage("auth is not 16 bytes")
    _public(keys.point)
    return keys


def encrypt(
    payload: bytes, keys: PushKeys, *, salt: bytes, key: ec.EllipticCurvePrivateKey
) -> bytes:
    """The body of a push: one record. `salt` and `key` are used for this message alone. Raises
    BadPushMessage."""
    if len(payload) > MOST_PAYLOAD:
        raise BadPushMessage(f"longer than {MOST_PAYLOAD} bytes")
    own = point_of(key.public_key())
    shared = key.exchange(ec.ECDH(), keys.public_key)
    cipher, nonce = _content_keys(shared, keys.secret, keys.point, own, salt)
    sealed = cipher.encrypt(nonce, payload + _LAST, None)
    return _HEAD.pack(salt, _RECORD, len(own)) + own + sealed


def decrypt(body: bytes, key: ec.EllipticCurvePrivateKey, secret: bytes) -> bytes:
    """The payload, with the browser's own key. Raises BadPushMessage."""
    if len(body) < _HEAD.size:
        raise BadPushMessage("too short")
    salt, record, length = _HEAD.unpack_from(body)
    point, sealed = body[_HEAD.size : _HEAD.size + length], body[_HEAD.size + length :]
    if not _TAG_BYTES < len(sealed) <= record:
        raise BadPushMessage("not one record")
    shared = key.exchange(ec.ECDH(), _public(point))
    cipher, nonce = _content_keys(shared, secret, point_of(key.public_key()), point, salt)
    try:
        padded = cipher.decrypt(nonce, sealed, None)
    except InvalidTag as error:
        raise BadPushMessage("not sealed for this subscription") from error
    marked = padded.rstrip(b"\x00")
    if not marked.endswith(_LAST):
        raise BadPushMessage("its end is not marked")
    return marked[:-1]


def point_of(key: ec.EllipticCurvePublicKey) -> bytes:
    """The key as 65 bytes (X9.62, uncompressed)."""
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def encode(raw: bytes) -> str:
    """As base64url without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def decode(text: str) -> bytes:
    """Of base64url without padding. Raises BadPushMessage."""
    try:
        padded = text.encode("ascii") + b"=" * (-len(text) % 4)
        return base64.b64decode(padded, altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadPushMessage("not base64url") from error


def _content_keys(
    shared: bytes, secret: bytes, receiver: bytes, sender: bytes, salt: bytes
) -> tuple[AESGCM, bytes]:
    """RFC 8291, section 3.4."""
    material = _hkdf(shared, secret, b"WebPush: info\x00" + receiver + sender, 32)
    cipher = AESGCM(_hkdf(material, salt, b"Content-Encoding: aes128gcm\x00", 16))
    return cipher, _hkdf(material, salt, b"Content-Encoding: nonce\x00", 12)


def _hkdf(material: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    return HKDF(algorithm=SHA256(), length=length, salt=salt, info=info).derive(material)


def _public(point: bytes) -> ec.EllipticCurvePublicKey:
    if len(point) != _POINT_BYTES:
        raise BadPushMessage("a public key is a point of 65 bytes")
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(CURVE, point)
    except ValueError as error:
        raise BadPushMessage("not a point of P-256") from error
