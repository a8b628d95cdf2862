"""What makes a field of the catalogue acceptable. Pure; raises Unprocessable.

Neighbours: `service` asks here before it writes. A text never holds NUL or other control
characters, which PostgreSQL would refuse.
"""

import re
import secrets
import unicodedata
from base64 import b32encode
from dataclasses import replace

from umbel.catalogue.model import Event, EventDraft, EventPatch, UserRole
from umbel.kit import keys, time_zones
from umbel.kit.errors import Unprocessable

MOST_TITLE = 200
MOST_NAME = 100
MOST_DESCRIPTION = 5_000
LEAST_PASSWORD = 8
MOST_PASSWORD = 256
MOST_EMAIL = 254  # RFC 5321, section 4.5.3.1.3, without the angle brackets
USERNAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_LABEL = "[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
EMAIL = re.compile(rf"[a-zA-Z0-9.!#$%&'*+/=?^_`{{|}}~-]+@{_LABEL}(?:\.{_LABEL})*")

# Far enough for any calendar, near enough that every time zone can still write it down.
_EARLIEST_S = 0.0
_LATEST_S = 7_258_118_400.0  # 2200-01-01
# A form that is filled in slowly, or an encoder that began before its event was entered.
LATE_S = 900.0
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_CONTROLS = ("Cc", "Cs", "Zl", "Zp")
_BLANK = "\u115f\u1160\u2800\u3164\uffa0"  # by category letters and a symbol, on the screen nothing
# Embeddings, overrides and isolates (UAX 9): what one of them begins may end outside the text.
_TURNS = frozenset(("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"))
_SECRET_BYTES = 25  # 40 base32 characters, 200 bits


def is_name(text: str) -> bool:
    """Whether `text` could be an identifier or a node's name; nothing else is looked up."""
    return _NAME.fullmatch(text) is not None


def username(text: str) -> str:
    """The user name, or Unprocessable."""
    if USERNAME.fullmatch(text) is None:
        raise _bad("username", "1 to 64 of a-z 0-9 . _ - starting with a letter or a digit")
    return text


def password(text: str) -> str:
    """The password, or Unprocessable."""
    if not LEAST_PASSWORD <= len(text) <= MOST_PASSWORD:
        raise _bad("password", f"{LEAST_PASSWORD} to {MOST_PASSWORD} characters")
    return text


def line(field: str, text: str, most: int) -> str:
    """One line of text that can be seen, trimmed and without marks that turn the direction of what
    follows, or Unprocessable."""
    trimmed = _without_turns(text).strip()
    if len(trimmed) > most or _has_control(trimmed, allowed="") or not _is_visible(trimmed):
        raise _bad(field, f"one line of 1 to {most} characters, not all of them invisible")
    return trimmed


def description(text: str) -> str:
    """Several lines of text, without marks that turn the direction of what follows, or
    Unprocessable."""
    clean = _without_turns(text)
    if len(clean) > MOST_DESCRIPTION or _has_control(clean, allowed="\n\r\t\u2028\u2029"):
        raise _bad("description", f"text of at most {MOST_DESCRIPTION} characters")
    return clean


def node(text: str) -> str:
    """A node's name, or Unprocessable."""
    if not is_name(text):
        raise _bad("access_node", "the name of a node")
    return text


def time_zone(text: str) -> str:
    """The IANA name of a time zone, or Unprocessable."""
    if time_zones.find(text) is None:
        raise _bad("time_zone", "an IANA name such as Europe/Rome")
    return text


def schedule(starts_s: float, ends_s: float, *, now_s: float, kept_s: float | None = None) -> None:
    """Raise Unprocessable unless the times can be kept: in order, the end still to come, and the
    start, too, unless it is the one that is there already."""
    for field, at_s in (("starts_at", starts_s), ("ends_at", ends_s)):
        if not _EARLIEST_S <= at_s <= _LATEST_S:
            raise _bad(field, "a time between 1970 and 2200")
    if ends_s <= starts_s:
        raise _bad("ends_at", "a time after starts_at")
    if ends_s <= now_s:
        raise _bad("ends_at", "a time that is still to come")
    if starts_s != kept_s and starts_s < now_s - LATE_S:
        raise _bad("starts_at", "a time that is still to come")


def drafted(draft: EventDraft, *, now_s: float) -> EventDraft:
    """The draft as it is kept, or Unprocessable."""
    clean = replace(
        draft,
        title=line("title", draft.title, MOST_TITLE),
        description=description(draft.description),
        time_zone=time_zone(draft.time_zone),
    )
    schedule(clean.starts_s, clean.ends_s, now_s=now_s)
    return clean


def patched(before: Event, patch: EventPatch, *, now_s: float) -> Event:
    """The event after the change, or Unprocessable."""
    given = {name: value for name, value in vars(patch).items() if value is not None}
    if patch.title is not None:
        given["title"] = line("title", patch.title, MOST_TITLE)
    if patch.description is not None:
        given["description"] = description(patch.description)
    if patch.time_zone is not None:
        time_zone(patch.time_zone)
    after = replace(before, **given)
    if (after.starts_s, after.ends_s) != (before.starts_s, before.ends_s):
        schedule(after.starts_s, after.ends_s, now_s=now_s, kept_s=before.starts_s)
    return after


def email(text: str) -> str:
    """The e-mail address, or Unprocessable; empty is none. As browsers check it (WHATWG HTML,
    section 4.10.5.1.5): the rest shows when a letter is sent there."""
    trimmed = text.strip()
    if trimmed and (len(trimmed) > MOST_EMAIL or EMAIL.fullmatch(trimmed) is None):
        raise _bad("email", "an e-mail address such as ann@example.org")
    return trimmed


def rights(role: UserRole, provider_id: str) -> None:
    """Raise Unprocessable unless a provider's user, and no other, names its provider."""
    if (role is UserRole.PROVIDER) != bool(provider_id):
        raise _bad("provider_id", "given for the role provider, and for no other")


def new_generation() -> str:
    """What names an account with its password; no other account ever has it."""
    return secrets.token_hex(16)


def new_secret() -> str:
    """40 letters and digits, 200 random bits."""
    return b32encode(secrets.token_bytes(_SECRET_BYTES)).decode().lower()


def new_stream_key(event_id: str) -> str:
    """`<event_id>.<secret>`; anyone who has it may publish to the event."""
    return f"{event_id}.{new_secret()}"


def key_hash(key: str) -> str:
    """What is stored and sent of a stream key or another secret of `new_secret`."""
    return keys.digest(key)


def _has_control(text: str, *, allowed: str) -> bool:
    return any(unicodedata.category(c) in _CONTROLS and c not in allowed for c in text)


def _is_visible(text: str) -> bool:
    """Whether some character is a letter, a number, a sign or a symbol that draws something."""
    return any(unicodedata.category(c)[0] in "LNPS" and c not in _BLANK for c in text)


def _without_turns(text: str) -> str:
    return "".join(c for c in text if unicodedata.bidirectional(c) not in _TURNS)


def _bad(field: str, wanted: str) -> Unprocessable:
    return Unprocessable(f"{field}: {wanted}", fields=[{"field": field, "message": wanted}])
