"""What elements are made with: the process they live in, its address, ports and shared drivers."""

from dataclasses import dataclass

from umbel.kit.clock import Clock
from umbel.media.drivers.ingest import IngestDesk
from umbel.media.drivers.webrtc import WebRtcPort


@dataclass(frozen=True, kw_only=True)
class Host:
    """One per process. `desk` takes encoders in; only an acquirer has one."""

    function_id: str
    address: str
    http_port: int
    clock: Clock
    webrtc: WebRtcPort
    desk: IngestDesk | None

    def url(self, path: str) -> str:
        """An address of the public listener."""
        return f"http://{self.address}:{self.http_port}{path}"
