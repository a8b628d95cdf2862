"""ARP (RFC 826) as frames: the question who has an IPv4 address, and the answer to it. Pure.

The question is a probe (RFC 5227, section 2.1.1): it names no sender, so that no host learns a
wrong address from it.
"""

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address

ASKER = "02:75:6d:62:6c:fd"
"""The Ethernet address that switches ask with: answers go to it."""

ETHERTYPE = 0x0806
_BROADCAST = b"\xff" * 6
_REQUEST, REPLY = 1, 2
_FRAME = struct.Struct("!6s6sHHHBBH6s4s6s4s")
_ETHERNET_AND_IPV4 = (1, 0x0800, 6, 4)


@dataclass(frozen=True, kw_only=True)
class Arp:
    """What an ARP frame says: `operation` is 1 for a question, 2 for an answer; the sender's
    addresses, and the IPv4 address that is asked for or answered to."""

    operation: int
    sender_mac: str
    sender: str
    target: str


def request(address: str) -> bytes:
    """The frame that asks who has the address."""
    asker = bytes.fromhex(ASKER.replace(":", ""))
    ends = (asker, bytes(4), bytes(6), IPv4Address(address).packed)
    return _FRAME.pack(_BROADCAST, asker, ETHERTYPE, *_ETHERNET_AND_IPV4, _REQUEST, *ends)


def reply(mac: str, address: str) -> bytes:
    """The frame by which the host of the Ethernet address `mac` answers a request."""
    asker, host = (bytes.fromhex(one.replace(":", "")) for one in (ASKER, mac))
    ends = (host, IPv4Address(address).packed, asker, bytes(4))
    return _FRAME.pack(asker, host, ETHERTYPE, *_ETHERNET_AND_IPV4, REPLY, *ends)


def parse(frame: bytes) -> Arp | None:
    """What the frame says; None when it is not ARP over Ethernet for IPv4."""
    if len(frame) < _FRAME.size:
        return None
    _, _, kind, *head, operation, mac, sender, _, target = _FRAME.unpack_from(frame)
    if kind != ETHERTYPE or tuple(head) != _ETHERNET_AND_IPV4:
        return None
    return Arp(
        operation=operation,
        sender_mac=mac.hex(":"),
        sender=str(IPv4Address(sender)),
        target=str(IPv4Address(target)),
    )
