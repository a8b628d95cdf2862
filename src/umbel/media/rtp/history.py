"""The recent packets of one medium by sequence number, to answer requests for lost ones."""

from umbel.media.rtp import packet as rtp


class History:
    """A ring of the last packets. `capacity` must be a power of two, at most 32768."""

    def __init__(self, capacity: int) -> None:
        if capacity & (capacity - 1) or not 0 < capacity <= 0x8000:
            raise ValueError(f"{capacity} is no power of two up to 32768")
        self._mask = capacity - 1
        self._ring: list[bytes | None] = [None] * capacity

    def put(self, packet: bytes) -> None:
        """Remember an RTP packet; the one a ring's length before it is forgotten."""
        self._ring[rtp.sequence_of(packet) & self._mask] = packet

    def get(self, sequence: int) -> bytes | None:
        """The packet of this sequence number, or None when it never came or is too old."""
        packet = self._ring[sequence & self._mask]
        if packet is None or rtp.sequence_of(packet) != sequence & 0xFFFF:
            return None
        return packet
