"""Which sender a port without keys listens to: the first one, for as long as it sends.

In: where a packet came from and what it is. Out: whether it counts. Both media of an RTP publisher
may come from two sockets of one host, so each payload type has its own.
"""

from dataclasses import dataclass, field

SILENCE_S = 3.0
RESERVED_S = 10.0
BARRED_S = 60.0
SenderAddress = tuple[str, int]


@dataclass(slots=True)
class SenderLock:
    """Each `channel` may have a socket of its own; channel -1 (RTCP) needs the host alone."""

    host: str = ""
    heard_s: float = 0.0
    _last: str = ""
    _channels: dict[int, SenderAddress] = field(default_factory=dict)

    def admits(self, source: SenderAddress, channel: int, now_s: float) -> bool:
        """Whether this packet is the publisher's. The first packet after silence chooses again."""
        if self.silent(now_s):
            if channel < 0:
                return False
            self.host = self._last = source[0]
            self._channels.clear()
        if source[0] != self.host or (
            channel >= 0 and self._channels.setdefault(channel, source) != source
        ):
            return False
        if channel >= 0:
            self.heard_s = now_s
        return True

    def silent(self, now_s: float) -> bool:
        """Whether there is no sender."""
        return not self.host or now_s - self.heard_s > SILENCE_S

    def is_reserved(self, host: str, now_s: float) -> bool:
        """Whether this host has to wait: another one sent until a short time ago, and may be back
        at once, as an encoder that was started again."""
        return self._last not in ("", host) and now_s - self.heard_s <= RESERVED_S

    def release(self) -> None:
        """The sender has gone; its place is reserved for a short time."""
        self.host = ""

    def forget(self) -> None:
        """The sender has gone, and nothing is reserved for it."""
        self.host = self._last = ""


@dataclass(slots=True)
class SenderBan:
    """Keeps a sender out whose stream was refused, until it pauses or a minute has gone."""

    host: str = ""
    _heard_s: float = 0.0
    _until_s: float = 0.0

    def put(self, host: str, now_s: float) -> None:
        """Keep this host out from now on."""
        self.host, self._heard_s, self._until_s = host, now_s, now_s + BARRED_S

    def holds(self, host: str, now_s: float) -> bool:
        """Whether a packet of this host is to be passed over."""
        if not self.host or host != self.host:
            return False
        if now_s >= self._until_s or now_s - self._heard_s > SILENCE_S:
            self.host = ""
            return False
        self._heard_s = now_s
        return True
