"""Streams' own addresses, allotted from their names. Pure.

In: a stream's name and the streams there are. Out: its number, address and UDP port.
"""

import hashlib
from collections.abc import Collection

from umbel.network.overlay.streams import MOST_STREAMS, Stream

_FIRST_PORT, _PORTS = 16_384, 32_768


def allot(name: str, others: Collection[Stream]) -> Stream:
    """A stream with a number, address (10.203.x.y) and port of its own. They come from its name,
    the next free ones where another stream has them: a control plane that starts again allots the
    same again, whatever the order, but for that rare case."""
    seed = hashlib.blake2b(name.encode(), digest_size=8).digest()
    number = int.from_bytes(seed[:4], "big") % MOST_STREAMS
    numbers = {other.number for other in others}
    while number + 1 in numbers:
        number = (number + 1) % MOST_STREAMS
    place = 1 + int.from_bytes(seed[2:6], "big") % 0xFFFE
    target = f"10.203.{place >> 8}.{place & 0xFF}"
    port = int.from_bytes(seed[6:], "big") % _PORTS
    taken = {other.port for other in others if other.target == target}
    while _FIRST_PORT + port in taken:
        port = (port + 1) % _PORTS
    return Stream(name=name, number=number + 1, target=target, port=_FIRST_PORT + port)
