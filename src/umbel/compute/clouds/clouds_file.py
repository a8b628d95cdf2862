"""Reads clouds.yaml files: text in, credentials out. Pure.

What such a file may also name would read files here or run other plug-ins here: these are refused,
for the file comes over REST.
"""

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import yaml
from cryptography import x509

from umbel.compute.clouds.model import BadCloud, CloudCredentials

MOST_BYTES = 128 * 1024
_MOST_TEXT = 1024

_AUTH_TYPES = {
    "": "password",
    "password": "password",
    "v3password": "password",
    "v3applicationcredential": "application credential",
}
_REFUSED: Mapping[str, str] = {
    "cert": "names a file: sign in by an application credential",
    "key": "names a file: sign in by an application credential",
    "profile": "names a file of this machine: write its values out",
    "vendor_hook": "runs a program",
}
_REFUSED_AUTH: Mapping[str, str] = {
    "token": "expires: create an application credential",
    "passcode": "changes all the time: create an application credential",
    "trust_id": "is not supported: create an application credential",
    "system_scope": "is not supported: name a project",
}


def parse(text: str, cloud: str = "") -> CloudCredentials:
    """The credentials of a cloud, or of the only one. Raises BadCloud, with all that is wrong."""
    if len(text) > MOST_BYTES:
        raise BadCloud(f"The file is larger than {MOST_BYTES // 1024} kB")
    try:
        document = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        # Its text would quote the line, which may hold a password.
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}" if mark is not None else ""
        raise BadCloud(f"The file is not YAML{where}") from None
    clouds = document.get("clouds") if isinstance(document, dict) else None
    if not isinstance(clouds, dict) or not clouds:
        raise BadCloud("The file has no `clouds`: it is not a clouds.yaml")
    if not cloud and len(clouds) > 1:
        raise BadCloud("The file has several clouds: name one")
    name = cloud or next(iter(clouds))
    found = clouds.get(name)
    if not isinstance(found, dict):
        raise BadCloud(f"The file has no cloud {str(name)[:80]!r}")
    auth = found.get("auth")
    if not isinstance(auth, dict):
        raise BadCloud(f"The cloud {str(name)[:80]!r} has no `auth`")
    return _credentials(found, auth)


def _credentials(found: Mapping[str, Any], auth: Mapping[str, Any]) -> CloudCredentials:
    credentials = CloudCredentials(
        url=_text(auth, "auth_url").rstrip("/"),
        region=_text(found, "region_name"),
        interface=_text(found, "interface") or CloudCredentials.interface,
        authority=_text(found, "cacert"),
        id=_text(auth, "application_credential_id"),
        secret=_text(auth, "application_credential_secret"),
        user=_text(auth, "username"),
        user_domain=_text(auth, "user_domain_name") or "Default",
        password=_text(auth, "password"),
        project=_text(auth, "project_name"),
        project_domain=_text(auth, "project_domain_name") or "Default",
    )
    if credentials.id or credentials.secret:  # they say whose they are
        credentials = CloudCredentials(
            url=credentials.url,
            region=credentials.region,
            interface=credentials.interface,
            authority=credentials.authority,
            id=credentials.id,
            secret=credentials.secret,
        )
    problems = [
        *_refused(found, _REFUSED),
        *_refused(auth, _REFUSED_AUTH),
        *_problems(credentials, _text(found, "auth_type")),
    ]
    if found.get("verify") is False:
        problems.append("verify: false is not supported: give cacert")
    if problems:
        message = f"The file cannot be used: {'; '.join(problems)}"
        raise BadCloud(message, problems=problems)
    return credentials


def _text(entry: Mapping[str, Any], key: str) -> str:
    found = entry.get(key, "")
    if found is None:
        return ""
    if not isinstance(found, str) or (len(found) > _MOST_TEXT and key != "cacert"):
        raise BadCloud(f"The file's {key} is no text of at most {_MOST_TEXT} characters")
    return found.strip()


def _refused(entry: Mapping[str, Any], refused: Mapping[str, str]) -> Iterator[str]:
    for key, reason in refused.items():
        if entry.get(key):
            yield f"{key} {reason}"


def _problems(credentials: CloudCredentials, auth_type: str) -> Iterator[str]:
    yield from _url_problems(credentials.url)
    if auth_type not in _AUTH_TYPES:
        yield f"auth_type {auth_type[:40]!r} is not supported: use v3applicationcredential"
    if credentials.interface not in {"public", "internal", "admin"}:
        yield "interface is none of public, internal and admin"
    if credentials.authority and not _is_certificate(credentials.authority):
        yield "cacert is no certificate: give its text (PEM), not the name of a file"
    if credentials.id or credentials.secret:
        if not (credentials.id and credentials.secret):
            yield "an application credential has an id and a secret"
    else:
        for key in ("user", "password", "project"):
            if not getattr(credentials, key):
                name = {"user": "username", "project": "project_name"}.get(key, key)
                yield f"auth has no {name} and no application credential"


def _url_problems(url: str) -> Iterator[str]:
    try:
        parts = urlsplit(url)
        is_plain = not (parts.username or parts.password or parts.query or parts.fragment)
        is_good = parts.scheme in {"https", "http"} and bool(parts.hostname)
        is_good = is_good and (parts.port or 443) > 0
    except ValueError:
        is_plain = is_good = False
    if not (is_good and is_plain and url.isascii() and url.isprintable()):
        yield "auth_url is not such as https://192.0.2.11:5000/v3"


def _is_certificate(pem: str) -> bool:
    try:
        return bool(x509.load_pem_x509_certificates(pem.encode()))
    except ValueError:
        return False
