"""What elements are made with: the process they live in, its address, ports and shared drivers."""

from collections.abc import Callable
from dataclasses import dataclass, field

from umbel.kit.clock import Clock
from umbel.media.io.ingest_desk import IngestDesk
from umbel.media.io.webrtc_port import WebRtcPort
from umbel.media.server.elements.flow import Count
from umbel.media.speech.model import NO_ENGINE, Engine
from umbel.media.workers.pool import WorkerPool
from umbel.media.workers.thumbnailer import Thumbnailer

_FRESH_S = 0.2


@dataclass(frozen=True, kw_only=True)
class ServerContext:
    """One per process. `desk` accepts encoders; only an acquirer has one. It calls the stream's
    entry in `ingest_listeners` when something changes."""

    function_id: str
    address: str
    http_port: int
    workers: WorkerPool
    webrtc: WebRtcPort
    desk: IngestDesk | None
    speech: Engine = NO_ENGINE
    ingest_listeners: dict[str, Callable[[str], None]] = field(default_factory=dict)
    peer_counts: Callable[[], dict[str, Count]] = field(init=False)
    thumbnailer: Thumbnailer = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "thumbnailer", Thumbnailer(self.workers))
        object.__setattr__(self, "peer_counts", _PeerCounts(self.webrtc, self.clock).read)

    @property
    def clock(self) -> Clock:
        """The process's clock."""
        return self.workers.clock

    def url(self, path: str) -> str:
        """An address of the public listener."""
        return f"http://{self.address}:{self.http_port}{path}"


class _PeerCounts:
    """Every element asks for the same numbers: one reading serves them all."""

    def __init__(self, webrtc: WebRtcPort, clock: Clock) -> None:
        self._webrtc = webrtc
        self._clock = clock
        self._read_s = float("-inf")
        self._counts: dict[str, Count] = {}

    def read(self) -> dict[str, Count]:
        now_s = self._clock.monotonic_s()
        if now_s - self._read_s > _FRESH_S:
            self._read_s = now_s
            self._counts = {
                peer.resource: Count(packets=peer.packets, bytes=peer.octets)
                for peer in self._webrtc.stats()
            }
        return self._counts
