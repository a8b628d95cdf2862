"""Rules as the bytes of OpenFlow flow mods, ten times as fast as os-ken's objects make them.

In: rules. Out: messages without transaction number, and what joins them to a bundle. Pure. A rule
is laid out alike in 1.3 and 1.4 (OpenFlow 1.3.5, sections 7.2 and 7.3.4.1; 1.4.1, 7.3.9).
"""

import ipaddress
import socket
import struct
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache

from umbel.network.switching.program import (
    CONTROLLER,
    Action,
    Field,
    Output,
    Rule,
    SetField,
    Translate,
    UseGroup,
    Value,
)

_PACKET_OUT, _FLOW_MOD, _BUNDLE_ADD = 13, 14, 34
_ADD, _DELETE_STRICT = 0, 4
_ANY, _NO_BUFFER, _WHOLE_PACKET = 0xFFFFFFFF, 0xFFFFFFFF, 0xFFE5
_BASIC, _HAS_MASK = 0x8000, 1
_ALL_BITS = 0xFFFFFFFFFFFFFFFF

_HEADER = struct.Struct("!BBHI")
_FLOW = struct.Struct("!16xBB4xHIII4x")  # cookies and timeouts are 0, as are flags
_MATCH = struct.Struct("!HH")
_OUT = struct.Struct("!IIH6x")
_OUTPUT = struct.Struct("!HHIH6x")
_GROUP = struct.Struct("!HHI")
_METER = _GROUP
_METADATA = struct.Struct("!HH4xQQ")
_GOTO = struct.Struct("!HHB3x")
_APPLY = struct.Struct("!HH4x")
_BUNDLE = struct.Struct("!BBHII2xHBBHI")

_FIELDS: Mapping[Field, tuple[int, int]] = {
    Field.IN_PORT: (0, 4),
    Field.METADATA: (2, 8),
    Field.ETH_DST: (3, 6),
    Field.ETH_SRC: (4, 6),
    Field.ETH_TYPE: (5, 2),
    Field.IP_DSCP: (8, 1),
    Field.IP_PROTO: (10, 1),
    Field.IPV4_SRC: (11, 4),
    Field.IPV4_DST: (12, 4),
    Field.TCP_SRC: (13, 2),
    Field.TCP_DST: (14, 2),
    Field.UDP_SRC: (15, 2),
    Field.UDP_DST: (16, 2),
    Field.ARP_SPA: (22, 4),
    Field.ARP_TPA: (23, 4),
}
"""Each field's number among the basic ones, and how many bytes it has."""


def writable(rule: Rule) -> bool:
    """Whether `flow` can write it: connection tracking is a vendor's matter and left to os-ken."""
    return not any(isinstance(action, Translate) for action in rule.actions)


def flow(version: int, rule: Rule, *, put: bool) -> bytes:
    """The message that adds the rule (`put`) or takes exactly it away, with 0 as its xid."""
    fields = b"".join([_oxm(item) for item in rule.match])
    size = 4 + len(fields)
    body = b"".join(
        (
            _FLOW.pack(
                rule.table,
                _ADD if put else _DELETE_STRICT,
                rule.priority,
                _NO_BUFFER,
                _ANY,
                _ANY,
            ),
            _MATCH.pack(1, size),
            fields,
            bytes(-size % 8),
            *_instructions(rule),
        )
    )
    return _HEADER.pack(version, _FLOW_MOD, 8 + len(body), 0) + body


def packet(version: int, port: int, frame: bytes) -> bytes:
    """The message that has the switch send a frame by a port (1.3.5, section 7.3.7)."""
    actions = _actions([Output(port=port)])
    body = _OUT.pack(_NO_BUFFER, CONTROLLER, len(actions)) + actions + frame
    return _HEADER.pack(version, _PACKET_OUT, 8 + len(body), 0) + body


def numbered(message: bytes, xid: int) -> bytes:
    """The message with this transaction number."""
    return message[:4] + xid.to_bytes(4, "big") + message[8:]


def bundled(message: bytes, xid: int, bundle: int, flags: int) -> bytes:
    """The message as a part of a bundle (1.4.1, section 7.3.9.6), both with this number."""
    version, kind, size, _ = _HEADER.unpack_from(message)
    head = _BUNDLE.pack(
        version, _BUNDLE_ADD, 16 + size, xid, bundle, flags, version, kind, size, xid
    )
    return head + message[8:]


def _instructions(rule: Rule) -> Iterator[bytes]:
    if rule.meter:
        yield _METER.pack(6, 8, rule.meter)
    if rule.actions:
        actions = _actions(rule.actions)
        yield _APPLY.pack(4, 8 + len(actions))
        yield actions
    if rule.metadata:
        yield _METADATA.pack(2, 24, rule.metadata, _ALL_BITS)
    if rule.goto is not None:
        yield _GOTO.pack(1, 8, rule.goto)


def _actions(actions: Iterable[Action]) -> bytes:
    found = []
    for action in actions:
        if isinstance(action, Output):
            found.append(_OUTPUT.pack(0, 16, action.port, _WHOLE_PACKET))
        elif isinstance(action, UseGroup):
            found.append(_GROUP.pack(22, 8, action.group))
        elif isinstance(action, SetField):
            field = _oxm((action.field, action.value))
            padding = bytes(-(4 + len(field)) % 8)
            found.append(_MATCH.pack(25, 4 + len(field) + len(padding)) + field + padding)
    return b"".join(found)


@lru_cache(maxsize=8192)
def _oxm(item: tuple[Field, Value]) -> bytes:
    """A field with its value, as matches and actions have it (1.3.5, section 7.2.3.2)."""
    name, value = item
    number, size = _FIELDS[name]
    if isinstance(value, int):
        return _MATCH.pack(_BASIC, number << 9 | size) + value.to_bytes(size, "big")
    if size == 6:
        return _MATCH.pack(_BASIC, number << 9 | size) + bytes.fromhex(value.replace(":", ""))
    if "/" not in value:
        return _MATCH.pack(_BASIC, number << 9 | size) + socket.inet_aton(value)
    net = ipaddress.IPv4Network(value)
    both = net.network_address.packed + net.netmask.packed
    return _MATCH.pack(_BASIC, number << 9 | _HAS_MASK << 8 | 2 * size) + both
