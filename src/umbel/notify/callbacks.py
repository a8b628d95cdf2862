"""Which callback URLs are taken. Pure: nothing is resolved or asked.

Operators alone register, and their receivers stand where their network is, so private addresses
are as good as others. What is refused is what could make a POST more than a POST, or tell secrets.
"""

import re
from ipaddress import IPv4Address, IPv6Address
from urllib.parse import SplitResult, urlsplit

from umbel.kit.errors import Unprocessable

MOST_CHARACTERS = 2048
_FOUR_NUMBERS = re.compile(r"[0-9]+(\.[0-9]+){3}")
_AUTHORITY = re.compile(r"(\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9._-]+))(:[0-9]*)?")


class BadCallback(Unprocessable):
    """The callback must be an http or https URL with a host, without user, password or fragment."""

    code = "umbel.bad_callback"


def check(url: str) -> str:
    """The URL, if it can be a callback. Raises BadCallback naming what is wrong."""
    if not url.isascii() or not url.isprintable() or " " in url:
        raise _bad("it has characters that a URL has to escape")
    if len(url) > MOST_CHARACTERS:
        raise _bad(f"it is longer than {MOST_CHARACTERS} characters")
    parts = _split(url)
    if parts.scheme not in ("http", "https"):
        raise _bad("only http and https are spoken")
    if not parts.hostname:
        raise _bad("it names no host")
    if "@" in parts.netloc:
        raise _bad("it holds a user name or password; the signature proves who sends")
    if not _is_authority(parts.netloc):
        raise _bad("its host is neither a name nor an address")
    if "#" in url or "\\" in url:
        raise _bad("it holds a fragment or a backslash")
    return url


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        is_port = parts.port is None or parts.port > 0
    except ValueError as error:
        raise _bad(str(error)) from None
    if not is_port:
        raise _bad("port 0 cannot be reached")
    return parts


def _is_authority(netloc: str) -> bool:
    """Whether it is a name, an IPv4 address, or an IPv6 address in brackets, and a port."""
    found = _AUTHORITY.fullmatch(netloc)
    if found is None:
        return False
    try:
        if found["six"]:
            IPv6Address(found["six"])
        if _FOUR_NUMBERS.fullmatch(found["name"] or ""):
            IPv4Address(found["name"])
    except ValueError:
        return False
    return True


def _bad(why: str) -> BadCallback:
    return BadCallback(f"url: {why}", fields=[{"field": "url", "message": why}])
