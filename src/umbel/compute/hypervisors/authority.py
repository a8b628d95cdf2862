"""The authority by which hypervisors know each other: certificates for TLS of libvirt and QEMU.

In: what only the control plane knows. Out: the authority's certificate (X.509, RFC 5280), the same
each time, and certificates for hypervisors, with fresh keys that are kept nowhere. The authority's
key follows from the secret by HKDF (RFC 5869), so no file holds it, and several control planes, and
one that was restored from a backup, have the same.
"""

import ipaddress
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from umbel.compute.hypervisors.model import MOST_CERTIFICATE_NAMES, BadHypervisor
from umbel.kit import derived_keys, hosts
from umbel.kit.secret_tls import ALWAYS

_EARLIER = timedelta(days=1)
"""A hypervisor's clock may be slow."""


@dataclass(frozen=True, kw_only=True)
class Issued:
    """A certificate for both ends of TLS, its key, and the authority's certificate, as PEM.
    `expires_s` is by the calendar's clock."""

    authority: str
    certificate: str
    key: str = field(repr=False)
    expires_s: float


class Authority:
    """Issues certificates that only this installation's hypervisors have."""

    def __init__(self, secret: bytes, installation: str) -> None:
        self._secret = secret
        self._key = derived_keys.ed25519(
            secret, b"umbel: Ed25519 key of the hypervisors' authority"
        )
        self._name = _named(f"Umbel hypervisors {installation}")
        made = self._begun(self._name, self._key.public_key(), 1, ALWAYS)
        authority = x509.BasicConstraints(ca=True, path_length=0)
        self._certificate = (
            made.add_extension(authority, critical=True)
            .add_extension(_usage(is_authority=True), critical=True)
            .sign(self._key, algorithm=None)
        )

    @property
    def pem(self) -> str:
        """The authority's certificate."""
        return _pem(self._certificate)

    def issue(self, names: Sequence[str], *, days: int, now_s: float) -> Issued:
        """A certificate for a hypervisor with these addresses and host names. Raises BadHypervisor
        where one is neither, or there is none."""
        now = datetime.fromtimestamp(int(now_s), UTC)
        return self._issued(
            Ed25519PrivateKey.generate(),
            _alternatives(names),
            int.from_bytes(os.urandom(16)) >> 1,
            (now - _EARLIER, now + timedelta(days=days)),
        )

    def own(self) -> Issued:
        """The control plane's own, to reach libvirt with: the same each time."""
        key = derived_keys.ed25519(
            self._secret, b"umbel: Ed25519 key of the control plane towards hypervisors"
        )
        return self._issued(key, [x509.DNSName("umbel")], 2, ALWAYS)

    def _begun(
        self,
        subject: x509.Name,
        key: Ed25519PublicKey,
        serial: int,
        valid: tuple[datetime, datetime],
    ) -> x509.CertificateBuilder:
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        made = x509.CertificateBuilder(
            issuer_name=self._name,
            subject_name=subject,
            public_key=key,
            serial_number=serial,
            not_valid_before=valid[0],
            not_valid_after=valid[1],
        )
        return made.add_extension(
            x509.SubjectKeyIdentifier.from_public_key(key), critical=False
        ).add_extension(issuer, critical=False)

    def _issued(
        self,
        key: Ed25519PrivateKey,
        names: Sequence[x509.GeneralName],
        serial: int,
        valid: tuple[datetime, datetime],
    ) -> Issued:
        made = self._begun(_named(str(names[0].value)), key.public_key(), serial, valid)
        purposes = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        signed = (
            made.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(is_authority=False), critical=False)
            .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .sign(self._key, algorithm=None)
        )
        return Issued(
            authority=self.pem,
            certificate=_pem(signed),
            key=derived_keys.pem(key).decode(),
            expires_s=valid[1].timestamp(),
        )


def _usage(*, is_authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not is_authority,
        key_cert_sign=is_authority,
        crl_sign=is_authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _named(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text[:64])])


def _alternatives(names: Sequence[str]) -> list[x509.GeneralName]:
    if not names:
        raise BadHypervisor("A certificate needs an address or a host name of the hypervisor")
    if len(names) > MOST_CERTIFICATE_NAMES:
        raise BadHypervisor(f"A certificate has at most {MOST_CERTIFICATE_NAMES} names")
    return [_alternative(name) for name in dict.fromkeys(names)]


def _alternative(name: str) -> x509.GeneralName:
    if hosts.is_address(name):
        return x509.IPAddress(ipaddress.ip_address(name))
    if not hosts.is_name(name):
        raise BadHypervisor(f"{name!r} is neither an address nor a host name", name=name)
    return x509.DNSName(name)


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode()
