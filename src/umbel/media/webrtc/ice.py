"""The lite half of ICE (RFC 8445): it answers checks, and sends none.

In: STUN datagrams with the address they came from. Out: the answer to send there, and whether the
address is proven or chosen. Consent (RFC 7675) is the checks that go on coming.
"""

import secrets
import struct
from dataclasses import dataclass

from aioice import stun

from umbel.media.rtp.packet import MalformedPacket

Address = tuple[str, int]
_UNAUTHENTICATED = (401, "Unauthenticated")
_BAD_REQUEST = (400, "Bad Request")
_ROLE_CONFLICT = (487, "Role Conflict")


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """A user name fragment and its password, in the characters ICE allows."""

    ufrag: str
    password: str

    @classmethod
    def create(cls) -> "Credentials":
        """Fresh ones: 48 and 192 random bits (RFC 8445 section 5.3 asks for 24 and 128)."""
        return cls(ufrag=secrets.token_hex(6), password=secrets.token_hex(24))


@dataclass(frozen=True, kw_only=True)
class Check:
    """What came of a datagram: `answer` goes back to where it came from."""

    answer: bytes | None = None
    valid: bool = False
    chosen: bool = False


def is_stun(data: bytes) -> bool:
    """Whether a datagram on the shared port is STUN (RFC 7983)."""
    return len(data) >= stun.HEADER_LENGTH and data[0] < 4


def parse(data: bytes) -> stun.Message:
    """Read a STUN message. Raises MalformedPacket."""
    try:
        return stun.parse_message(data)
    except (ValueError, struct.error, IndexError) as error:
        raise MalformedPacket(f"not a STUN message: {error}") from error


def addressed_to(message: stun.Message) -> str:
    """Whose fragment a check is for: the first half of its user name; empty without one."""
    return str(message.attributes.get("USERNAME", "")).partition(":")[0]


def answer(message: stun.Message, address: Address, local: Credentials, remote: str) -> Check:
    """Decide about one message from `address`; `remote` is the client's fragment."""
    is_request = message.message_class is stun.Class.REQUEST
    if not is_request or message.message_method is not stun.Method.BINDING:
        return Check()
    if "USERNAME" not in message.attributes or "MESSAGE-INTEGRITY" not in message.attributes:
        return Check(answer=_refusal(message, _BAD_REQUEST, None))
    expected = f"{local.ufrag}:{remote}"
    key = local.password.encode()
    if message.attributes["USERNAME"] != expected or not message.check_message_integrity(key):
        return Check(answer=_refusal(message, _UNAUTHENTICATED, None))
    if "ICE-CONTROLLED" in message.attributes:
        # A lite agent is always the controlled one (RFC 8445 section 6.1.1).
        return Check(answer=_refusal(message, _ROLE_CONFLICT, key))
    return Check(
        answer=_success(message, address, key),
        valid=True,
        chosen="USE-CANDIDATE" in message.attributes,
    )


def _success(message: stun.Message, address: Address, key: bytes) -> bytes:
    response = stun.Message(
        message_method=stun.Method.BINDING,
        message_class=stun.Class.RESPONSE,
        transaction_id=message.transaction_id,
        attributes={"XOR-MAPPED-ADDRESS": address},
    )
    response.add_message_integrity(key)
    return bytes(response)


def _refusal(message: stun.Message, reason: tuple[int, str], key: bytes | None) -> bytes:
    response = stun.Message(
        message_method=stun.Method.BINDING,
        message_class=stun.Class.ERROR,
        transaction_id=message.transaction_id,
        attributes={"ERROR-CODE": reason},
    )
    if key is None:
        response.add_fingerprint()
    else:
        response.add_message_integrity(key)
    return bytes(response)
