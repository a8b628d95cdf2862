"""What a guest's agent says, read. Its words are the guest's own: they may be anything. Pure."""

import base64
import json
from collections.abc import Mapping

MOST_BYTES = 64 * 1024
"""Of a file that is read."""
_MOST_REASON, _MOST_PORTS, _MOST_NAME = 200, 64, 64


def returned(said: str) -> object:
    """What a command returned; None where that cannot be read."""
    try:
        answer = json.loads(said)
    except (ValueError, RecursionError):
        return None
    return answer.get("return") if isinstance(answer, dict) else None


def content(read: object) -> str:
    """The text that `guest-file-read` returned; empty where there is none."""
    coded = read.get("buf-b64") if isinstance(read, dict) else None
    if not isinstance(coded, str):
        return ""
    try:
        return base64.b64decode(coded).decode(errors="replace")
    except ValueError:
        return ""


def reason(text: str) -> str:
    """Why a function ended: it goes to logs, to rows and to operators."""
    return text.strip()[:_MOST_REASON]


def ports(text: str) -> Mapping[str, int] | None:
    """The ports in a ready file; None where it says none."""
    try:
        found = json.loads(text).get("ports") if text else None
    except (ValueError, AttributeError, RecursionError):
        return None
    if not isinstance(found, dict) or len(found) > _MOST_PORTS:
        return None
    if any(len(name) > _MOST_NAME or not _is_port(port) for name, port in found.items()):
        return None
    return found


def _is_port(port: object) -> bool:
    return isinstance(port, int) and not isinstance(port, bool) and 0 < port < 65536
