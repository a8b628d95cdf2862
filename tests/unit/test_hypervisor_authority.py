"""The hypervisors' authority: the same each time, and certificates that verify for their names."""

import contextlib
import hashlib
import ssl
import time
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from umbel.compute.hypervisors.authority import Authority, Issued
from umbel.compute.hypervisors.model import (
    CERTIFICATE_DAYS,
    MOST_CERTIFICATE_NAMES,
    BadHypervisor,
)
from umbel.kit import hosts
from umbel.kit.secret_tls import load_chain

NOW = datetime(2026, 11, 30, tzinfo=UTC)
SECRET = bytes(range(32))
DIGEST = "9a1dafb29a091f70b70144b31ac5cee6519476788255973ed6de7835e843e488"


def made(secret: bytes = SECRET) -> Authority:
    return Authority(secret, "0123456789abcdef")


def context(issued: Issued, *, is_server: bool, authority: str = "") -> ssl.SSLContext:
    """One end of TLS, which trusts the authority alone."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if is_server else ssl.PROTOCOL_TLS_CLIENT)
    made.verify_mode = ssl.CERT_REQUIRED
    made.verify_flags |= ssl.VERIFY_X509_STRICT
    made.load_verify_locations(cadata=authority or issued.authority)
    load_chain(made, (issued.key + issued.certificate).encode())
    return made


def handshake(issued: Issued, name: str, *, authority: str = "") -> bool:
    """Between two ends with this certificate; the client looks for the name: whether each has seen
    the other's. Raises ssl.SSLError."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    there = context(issued, is_server=True, authority=authority)
    here = context(issued, is_server=False, authority=authority)
    server = there.wrap_bio(to_server, to_client, server_side=True)
    client = here.wrap_bio(to_client, to_server, server_hostname=name)
    for _ in range(4):
        for end in (client, server):
            with contextlib.suppress(ssl.SSLWantReadError):
                end.do_handshake()
    return client.version() == "TLSv1.3" and bool(client.getpeercert() and server.getpeercert())


def test_the_authority_is_the_same_for_whoever_has_the_secret() -> None:
    assert made().pem == made().pem
    assert made().own() == made().own()
    assert made().pem != made(bytes(32)).pem
    digest = hashlib.sha256(made().pem.encode()).hexdigest()
    assert digest == DIGEST, "hypervisors trust the certificate that they were given"


@pytest.mark.parametrize("name", ["192.0.2.7", "2001:db8::7", "town", "kvm-1.town.example"])
def test_two_ends_with_certificates_meet_by_their_names_only(name: str) -> None:
    issued = made().issue(["198.18.0.9", name], days=CERTIFICATE_DAYS, now_s=time.time())
    assert handshake(issued, "198.18.0.9")
    assert handshake(issued, name)
    with pytest.raises(ssl.SSLCertVerificationError, match="mismatch"):
        handshake(issued, "198.18.0.8")


def test_the_control_plane_and_a_hypervisor_meet() -> None:
    assert handshake(made().own(), "umbel")


def test_another_installations_certificate_is_refused() -> None:
    issued = made().issue(["198.18.0.9"], days=CERTIFICATE_DAYS, now_s=time.time())
    with pytest.raises(ssl.SSLCertVerificationError, match="unable to get local issuer"):
        handshake(issued, "198.18.0.9", authority=made(bytes(32)).pem)


def test_a_certificate_ends() -> None:
    issued = made().issue(["198.18.0.9"], days=30, now_s=time.time() - 31 * 86400)
    with pytest.raises(ssl.SSLCertVerificationError, match="expired"):
        handshake(issued, "198.18.0.9")
    issued = made().issue(["198.18.0.9"], days=30, now_s=NOW.timestamp())
    read = x509.load_pem_x509_certificate(issued.certificate.encode())
    assert read.not_valid_before_utc == NOW - timedelta(days=1)
    assert read.not_valid_after_utc == NOW + timedelta(days=30)
    assert issued.expires_s == read.not_valid_after_utc.timestamp()


def test_each_hypervisor_has_a_key_of_its_own_that_is_not_shown() -> None:
    one, other = (made().issue(["198.18.0.9"], days=1, now_s=NOW.timestamp()) for _ in range(2))
    assert one.key != other.key
    assert "PRIVATE" not in repr(one)
    assert "PRIVATE" in one.key


@pytest.mark.parametrize("names", [[], ["two words"], ["-a"], ["a/b"], [""], ["a\n"], ["*.town"]])
def test_what_is_no_name_is_refused(names: list[str]) -> None:
    with pytest.raises(BadHypervisor):
        made().issue(names, days=1, now_s=NOW.timestamp())


def test_too_many_names_are_refused() -> None:
    names = [f"192.0.2.{number}" for number in range(MOST_CERTIFICATE_NAMES + 1)]
    made().issue(names[:-1], days=1, now_s=NOW.timestamp())
    with pytest.raises(BadHypervisor, match="at most"):
        made().issue(names, days=1, now_s=NOW.timestamp())


@given(st.text(max_size=300))
def test_any_text_is_a_name_or_is_refused(name: str) -> None:
    try:
        issued = made().issue([name], days=1, now_s=NOW.timestamp())
    except BadHypervisor:
        return
    read = x509.load_pem_x509_certificate(issued.certificate.encode())
    held = read.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(one.value) for one in held] in ([name], [str(hosts.check(name))])
