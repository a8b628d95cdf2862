"""Certificates of an authority that is made for the test."""

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

_BEGAN = datetime(2020, 1, 1, tzinfo=UTC)
_ENDS = _BEGAN + timedelta(days=365 * 50)


class Authority:
    """Signs certificates; `pem` is its own."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _named("authority of a test")
        made = (
            _builder(self._name, self._name, self._key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(self._key, SHA256())
        )
        self.pem = made.public_bytes(Encoding.PEM).decode()

    def server(self, address: str) -> tuple[str, str]:
        """Certificate and key of a server at this address."""
        names = x509.SubjectAlternativeName([x509.IPAddress(ip_address(address))])
        return self._signed(_named("server"), names)

    def client(self, user: str, group: str) -> tuple[str, str]:
        """Certificate and key of a user of Kubernetes."""
        name = x509.Name(
            [
                x509.NameAttribute(NameOID.COMMON_NAME, user),
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, group),
            ]
        )
        usage = x509.ExtendedKeyUsage([x509.oid.ExtendedKeyUsageOID.CLIENT_AUTH])
        return self._signed(name, usage)

    def _signed(self, name: x509.Name, extension: x509.ExtensionType) -> tuple[str, str]:
        key = ec.generate_private_key(ec.SECP256R1())
        made = (
            _builder(name, self._name, key.public_key())
            .add_extension(extension, critical=False)
            .sign(self._key, SHA256())
        )
        return made.public_bytes(Encoding.PEM).decode(), _pem(key)


def new_key_pem() -> str:
    """A private key."""
    return _pem(ec.generate_private_key(ec.SECP256R1()))


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()
    ).decode()


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(_BEGAN)
        .not_valid_after(_ENDS)
    )
