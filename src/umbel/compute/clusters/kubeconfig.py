"""Reads kubeconfig files: text in, credentials out. Pure.

What such a file may also name would run programs here or read files here (exec, auth-provider,
paths): these are refused, for the file comes over REST. `kubectl config view --flatten` puts what
is in files into it.
"""

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import yaml
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from umbel.compute.clusters.model import BadCluster, Credentials

MOST_BYTES = 128 * 1024

_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]{1,16384}")
_REFUSED: Mapping[str, str] = {
    "exec": "runs a program: use the token of a service account",
    "auth-provider": "runs a program: use the token of a service account",
    "certificate-authority": "names a file: write it out by `kubectl config view --raw --flatten`",
    "client-certificate": "names a file: write it out by `kubectl config view --raw --flatten`",
    "client-key": "names a file: write it out by `kubectl config view --raw --flatten`",
    "tokenFile": "names a file: give the token itself",
    "username": "is not taken by API servers any more: use a token",
    "password": "is not taken by API servers any more: use a token",
    "as": "is not supported: give credentials of the account itself",
    "insecure-skip-tls-verify": "is not supported: give certificate-authority-data",
    "tls-server-name": "is not supported: use the name in the server's certificate",
    "proxy-url": "is not supported: the API server must be reached directly",
}


def parse(text: str, context: str = "") -> tuple[Credentials, str]:
    """The credentials of a context, or of the current one, and its namespace (empty for none).
    Raises BadCluster, with all that is wrong."""
    if len(text) > MOST_BYTES:
        raise BadCluster(f"The kubeconfig is larger than {MOST_BYTES // 1024} kB")
    try:
        document = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        # Its text would quote the line, which may hold a token.
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}" if mark is not None else ""
        raise BadCluster(f"The kubeconfig is not YAML{where}") from None
    if not isinstance(document, dict):
        raise BadCluster("The kubeconfig is not a mapping of clusters, users and contexts")
    chosen = context or document.get("current-context")
    if not isinstance(chosen, str) or not chosen:
        raise BadCluster("The kubeconfig has no current-context: name a context")
    found = _named(document, "contexts", "context", chosen)
    cluster = _named(document, "clusters", "cluster", found.get("cluster"))
    user = _named(document, "users", "user", found.get("user"))
    credentials = Credentials(
        server=_text(cluster, "server").rstrip("/"),
        authority=_pem(cluster, "certificate-authority-data"),
        token=_text(user, "token"),
        certificate=_pem(user, "client-certificate-data"),
        key=_pem(user, "client-key-data"),
    )
    if problems := [*_refused(cluster), *_refused(user), *_problems(credentials)]:
        message = f"The kubeconfig cannot be used: {'; '.join(problems)}"
        raise BadCluster(message, problems=problems)
    return credentials, _text(found, "namespace")


def _named(document: Mapping[str, Any], many: str, one: str, name: object) -> Mapping[str, Any]:
    if not isinstance(name, str):  # its text could be much longer than the file: YAML has aliases
        raise BadCluster(f"The kubeconfig names its {one} by something that is no text")
    entries = document.get(many)
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, dict) and entry.get("name") == name:
            found = entry.get(one)
            if isinstance(found, dict):
                return found
    raise BadCluster(f"The kubeconfig has no {one} {name[:80]!r}")


def _text(entry: Mapping[str, Any], key: str) -> str:
    found = entry.get(key, "")
    if not isinstance(found, str):
        raise BadCluster(f"The kubeconfig's {key} is no text")
    return found.strip()


def _pem(entry: Mapping[str, Any], key: str) -> str:
    try:
        return base64.b64decode(_text(entry, key), validate=True).decode("ascii")
    except (binascii.Error, ValueError):
        raise BadCluster(f"The kubeconfig's {key} is not PEM in base64") from None


def _refused(entry: Mapping[str, Any]) -> Iterator[str]:
    for key, reason in _REFUSED.items():
        if entry.get(key):
            yield f"{key} {reason}"


def _problems(credentials: Credentials) -> Iterator[str]:
    yield from _server_problems(credentials.server)
    if credentials.authority and not _is_certificate(credentials.authority):
        yield "certificate-authority-data holds no certificate"
    if credentials.token and _TOKEN.fullmatch(credentials.token) is None:
        yield "token has characters that no token has"
    if credentials.token and credentials.certificate:
        yield "the user has a token and a certificate: give one of them"
    if not credentials.token and not (credentials.certificate and credentials.key):
        yield "the user has neither a token nor a client certificate with its key"
    if credentials.certificate and not _is_certificate(credentials.certificate):
        yield "client-certificate-data holds no certificate"
    if credentials.key and not _is_key(credentials.key):
        yield "client-key-data holds no key without a password"


def _server_problems(server: str) -> Iterator[str]:
    try:
        parts = urlsplit(server)
        is_plain = not (parts.username or parts.password or parts.query or parts.fragment)
        is_good = parts.scheme == "https" and bool(parts.hostname) and (parts.port or 443) > 0
    except ValueError:
        is_plain = is_good = False
    if not (is_good and is_plain and server.isascii() and server.isprintable()):
        yield "the server's URL is not such as https://192.0.2.11:6443"


def _is_certificate(pem: str) -> bool:
    try:
        return bool(x509.load_pem_x509_certificates(pem.encode()))
    except ValueError:
        return False


def _is_key(pem: str) -> bool:
    try:
        load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError):
        return False
    return True
