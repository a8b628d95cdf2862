"""TLS 1.3 between two programs that share a secret: no authority, no files, nothing that expires.

In: the secret. Out: contexts for both ends. The server's Ed25519 key follows from the secret by
HKDF (RFC 5869), and its certificate from the key, so the client makes the same certificate and
trusts that one alone. Who records a connection and learns the secret later cannot read it.
"""

import os
import ssl
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding

from umbel.kit import derived_keys

_PURPOSE = b"umbel: Ed25519 key of a TLS server"
# A machine whose clock is wrong must not be locked out; the last date is RFC 5280's for "never".
ALWAYS = datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
"""From when and until when a certificate is valid that never ends."""


def server_context(secret: str) -> ssl.SSLContext:
    """For the end that listens."""
    key = _key(secret)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.num_tickets = 0  # a connection lasts, so there is nothing to resume
    load_chain(context, derived_keys.pem(key) + certificate(key).public_bytes(Encoding.PEM))
    return context


def load_chain(context: ssl.SSLContext, pem: bytes) -> None:
    """Have the context show this certificate, of a key and certificates. The ssl module loads them
    from files only; this one is in memory."""
    with os.fdopen(os.memfd_create("tls", os.MFD_CLOEXEC), "wb", buffering=0) as file:
        file.write(pem)
        context.load_cert_chain(f"/proc/self/fd/{file.fileno()}")


def client_context(secret: str) -> ssl.SSLContext:
    """For the end that connects: the handshake fails with a server that has another secret."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False  # the certificate is known, whatever the address
    trusted = certificate(_key(secret)).public_bytes(Encoding.DER)
    context.load_verify_locations(cadata=trusted)
    return context


def certificate(key: Ed25519PrivateKey) -> x509.Certificate:
    """The certificate of a key. Both ends make it, perhaps of different versions of Umbel: its
    bytes must never change."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "umbel")])
    builder = x509.CertificateBuilder(
        issuer_name=name,
        subject_name=name,
        public_key=key.public_key(),
        serial_number=1,
        not_valid_before=ALWAYS[0],
        not_valid_after=ALWAYS[1],
    )
    return builder.sign(key, algorithm=None)


def _key(secret: str) -> Ed25519PrivateKey:
    return derived_keys.ed25519(secret.encode(), _PURPOSE)
