"""DTLS 1.2 in memory (RFC 5764): it proves who the client is and gives the keys of SRTP.

In: DTLS datagrams and time. Out: datagrams to send, and `Keys` once the handshake is done and the
client's certificate has the fingerprint of its description. One `Identity` serves a whole process.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from OpenSSL import SSL

from umbel.kit.errors import Unavailable

_LONGEST_DATAGRAM = 1200
_RECORD_HEADER = 13
_CIPHERS = (
    b"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
    b"ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:"
    b"ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
    b"ECDHE-ECDSA-AES128-SHA:ECDHE-RSA-AES128-SHA"
)
_DIGESTS: Mapping[str, hashes.HashAlgorithm] = {
    "sha-256": hashes.SHA256(),
    "sha-384": hashes.SHA384(),
    "sha-512": hashes.SHA512(),
}
_EXPORTER = b"EXTRACTOR-dtls_srtp"


class HandshakeFailed(Unavailable):
    """The DTLS handshake failed."""

    code = "umbel.dtls_failed"


@dataclass(frozen=True, kw_only=True)
class SrtpProfile:
    """A protection profile: its name in OpenSSL and in RFC 5764/7714, and its key lengths."""

    name: str
    openssl_name: bytes
    key_bytes: int
    salt_bytes: int


GCM = SrtpProfile(
    name="AEAD_AES_128_GCM", openssl_name=b"SRTP_AEAD_AES_128_GCM", key_bytes=16, salt_bytes=12
)
CM_SHA1_80 = SrtpProfile(
    name="AES_CM_128_HMAC_SHA1_80",
    openssl_name=b"SRTP_AES128_CM_SHA1_80",
    key_bytes=16,
    salt_bytes=14,
)
PROFILES = (GCM, CM_SHA1_80)


@dataclass(frozen=True, kw_only=True)
class Keys:
    """Master key and salt, joined, of what is sent and of what is received."""

    profile: SrtpProfile
    sending: bytes
    receiving: bytes

    def __repr__(self) -> str:
        return f"Keys({self.profile.name})"


class Identity:
    """A certificate with its key, and the settings every connection shares."""

    def __init__(self, wall_s: float, profiles: tuple[SrtpProfile, ...] = PROFILES) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = _certificate(key, datetime.fromtimestamp(wall_s, UTC))
        der = certificate.public_bytes(serialization.Encoding.DER)
        self.fingerprint = "sha-256 " + hashlib.sha256(der).digest().hex(":").upper()
        self.context = SSL.Context(SSL.DTLS_METHOD)
        self.context.set_options(SSL.OP_NO_TICKET | SSL.OP_NO_QUERY_MTU)
        self.context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
        # Any certificate will do here: its fingerprint decides after the handshake.
        self.context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, _accept)
        self.context.set_cipher_list(_CIPHERS)
        self.context.set_tlsext_use_srtp(b":".join(one.openssl_name for one in profiles))
        self.context.use_certificate(certificate)
        self.context.use_privatekey(key)


class Dtls:
    """One end of one connection. `keys` appear when the client has proven itself."""

    def __init__(
        self, identity: Identity, fingerprints: tuple[tuple[str, bytes], ...], *, is_client: bool
    ) -> None:
        self.is_client = is_client
        self.keys: Keys | None = None
        self.closed = False
        self._fingerprints = fingerprints
        self._connection = SSL.Connection(identity.context, None)
        self._connection.set_ciphertext_mtu(_LONGEST_DATAGRAM)
        if is_client:
            self._connection.set_connect_state()
        else:
            self._connection.set_accept_state()

    def start(self) -> list[bytes]:
        """The first flight of a client; nothing for a server. Raises HandshakeFailed."""
        return self._advance() if self.is_client else []

    def receive(self, datagram: bytes) -> list[bytes]:
        """Take a datagram; what to send back. Raises HandshakeFailed."""
        if self.closed:
            return []
        self._connection.bio_write(datagram)
        if self.keys is None:
            return self._advance()
        self._drain()
        return self._outgoing()

    def expired(self) -> list[bytes]:
        """What to send again because no answer came in time. Raises HandshakeFailed."""
        if self.keys is not None or self.closed:
            return []
        left_s = self._connection.DTLSv1_get_timeout()
        if left_s is None or left_s > 0:
            return []
        try:
            self._connection.DTLSv1_handle_timeout()
        except SSL.Error as error:
            raise HandshakeFailed("the DTLS handshake was never answered") from error
        return self._outgoing()

    def close(self) -> list[bytes]:
        """The alert that tells the client; after a failed handshake the one that says why."""
        if self.closed:
            return []
        self.closed = True
        try:
            if self.keys is not None:
                self._connection.shutdown()
            return self._outgoing()
        except (SSL.Error, HandshakeFailed):
            return []

    def _advance(self) -> list[bytes]:
        try:
            self._connection.do_handshake()
        except SSL.WantReadError:
            return self._outgoing()
        except SSL.Error as error:
            raise HandshakeFailed(f"the DTLS handshake failed: {error}") from error
        self._check_fingerprint()
        self.keys = self._export()
        return self._outgoing()

    def _drain(self) -> None:
        """Application data is not expected; an alert may end the connection."""
        try:
            while True:
                self._connection.recv(_LONGEST_DATAGRAM)
        except SSL.WantReadError:
            return
        except SSL.Error:
            self.closed = True

    def _check_fingerprint(self) -> None:
        certificate = self._connection.get_peer_certificate(as_cryptography=True)
        if certificate is None:
            raise HandshakeFailed("the client has no certificate")
        known = [one for one in self._fingerprints if one[0] in _DIGESTS]
        if not any(certificate.fingerprint(_DIGESTS[name]) == digest for name, digest in known):
            raise HandshakeFailed("the client's certificate is not the one of its description")

    def _export(self) -> Keys:
        name = self._connection.get_selected_srtp_profile()
        profile = next((one for one in PROFILES if one.openssl_name == name), None)
        if profile is None:
            raise HandshakeFailed("the client has no SRTP profile in common")
        key, salt = profile.key_bytes, profile.salt_bytes
        raw = self._connection.export_keying_material(_EXPORTER, 2 * (key + salt))
        salts = raw[2 * key :]
        client = raw[:key] + salts[:salt]
        server = raw[key : 2 * key] + salts[salt:]
        return Keys(
            profile=profile,
            sending=client if self.is_client else server,
            receiving=server if self.is_client else client,
        )

    def _outgoing(self) -> list[bytes]:
        flight = b""
        try:
            while True:
                flight += self._connection.bio_read(65536)
        except SSL.WantReadError:
            return _datagrams(flight)
        except SSL.Error as error:
            raise HandshakeFailed(f"the DTLS handshake failed: {error}") from error


def is_dtls(data: bytes) -> bool:
    """Whether a datagram on the shared port is DTLS (RFC 7983)."""
    return len(data) >= _RECORD_HEADER and 20 <= data[0] <= 63


def _datagrams(flight: bytes) -> list[bytes]:
    """The records of a flight, joined while they fit: memory keeps no datagram's bounds."""
    found: list[bytes] = []
    at = 0
    while at < len(flight):
        end = at + _RECORD_HEADER + int.from_bytes(flight[at + 11 : at + 13], "big")
        record = flight[at:end]
        if found and len(found[-1]) + len(record) <= _LONGEST_DATAGRAM:
            found[-1] += record
        else:
            found.append(record)
        at = end
    return found


def _accept(*_details: object) -> bool:
    return True


def _certificate(key: ec.EllipticCurvePrivateKey, now: datetime) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "umbel")])
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        # Clients' clocks differ, and a server may run for years.
        .not_valid_before(now - timedelta(days=30))
        .not_valid_after(now + timedelta(days=3650))
        .sign(key, hashes.SHA256())
    )
