"""The shape of a protocol without I/O (docs/decisions/0051), as WebRTC's ends have it.

Its owner has the socket and the clock: datagrams and steady time in, datagrams and the next
deadline out, what happened in attributes. Neighbours: viewer.py, publisher.py, io/webrtc_port.py.
"""

from typing import Protocol

from umbel.media.webrtc.ice import Address


class Endpoint(Protocol):
    """One end of a conversation by datagrams. No method blocks; nothing that comes in raises."""

    def receive_datagram(self, data: bytes, address: Address, now_s: float) -> None:
        """Take a datagram."""

    def handle_timer(self, now_s: float) -> None:
        """Do what is due. Calling it early, or late, is not an error."""

    def next_deadline_s(self, now_s: float) -> float:
        """When `handle_timer` is wanted next. Changes with every other call."""

    def datagrams_to_send(self) -> list[tuple[bytes, Address]]:
        """What is to be sent now, each with its destination. Handed out once."""

    def close(self, reason: str) -> None:
        """End, and notify the other end if possible. Idempotent."""
