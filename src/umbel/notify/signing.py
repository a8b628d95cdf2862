"""How a receiver knows that a POST is ours and fresh: HMAC-SHA256 (RFC 2104) over time and body.

The header is `Umbel-Signature: t=SECONDS,v1=HEX`; signed are the bytes of `SECONDS`, a dot, and
the body as sent. `verify` is what a receiver does; docs/howto/notifications.md shows it too.
"""

import hmac
import json
import re
from hashlib import sha256

from umbel.kit.clock import to_rfc3339
from umbel.kit.errors import Unauthenticated
from umbel.notify.model import Notice

SIGNATURE = "Umbel-Signature"
_FORM = re.compile(r"t=([0-9]{1,15}),v1=([0-9a-f]{64})")


class SignatureWrong(Unauthenticated):
    """The signature does not match the secret, time and body, or it is too old."""

    code = "umbel.signature_wrong"


def body_of(notice: Notice, sequence: int) -> bytes:
    """The JSON that is sent: `sequence` grows by one with each notice for this subscriber."""
    document = {
        "id": notice.id,
        "sequence": sequence,
        "kind": notice.kind,
        "subject": notice.subject,
        "at": to_rfc3339(notice.at_s),
        "body": dict(notice.body),
    }
    return json.dumps(document, separators=(",", ":")).encode()


def sign(secret: str, body: bytes, now_s: float) -> str:
    """The header's value. `now_s` is epoch seconds, cut to whole ones."""
    at = int(now_s)
    return f"t={at},v1={_digest(secret, at, body)}"


def verify(secret: str, header: str, body: bytes, *, now_s: float, within_s: float = 300.0) -> int:
    """The time it was signed at, epoch seconds. Raises SignatureWrong, also for one that is more
    than `within_s` away: an old POST that somebody overheard is not sent again."""
    form = _FORM.fullmatch(header)
    if form is None:
        raise SignatureWrong
    at = int(form[1])
    if not hmac.compare_digest(form[2], _digest(secret, at, body)):
        raise SignatureWrong
    if abs(now_s - at) > within_s:
        raise SignatureWrong("the signature is too old", signed_at=at)
    return at


def _digest(secret: str, at: int, body: bytes) -> str:
    return hmac.new(secret.encode(), b"%d." % at + body, sha256).hexdigest()
