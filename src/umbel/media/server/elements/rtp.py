"""The ends of a hop as elements: RtpReceiver and RtpSender over wire/{receiver,sender}.py."""

from dataclasses import replace

from umbel.media.api import values
from umbel.media.model import StreamRole, StreamState, Target, srtp_key_id
from umbel.media.rtp.feedback import PictureRequest
from umbel.media.rtp.hop_srtp import Protector, Unprotector
from umbel.media.rtp.pads import SinkPad
from umbel.media.server.elements.base import ElementContext, Json, MediaElement
from umbel.media.server.elements.context import ServerContext
from umbel.media.server.elements.flow import Count
from umbel.media.server.elements.pipeline import MediaPipeline
from umbel.media.wire.receiver import UdpReceiver
from umbel.media.wire.sender import UdpSender

_REMEMBERING = frozenset({StreamRole.ACQUIRER, StreamRole.TRANSCODER, StreamRole.FORWARDER})
"""They may have a stream before they have a hop, and are there for hops alone."""


class RtpReceiver(MediaElement):
    """Takes a stream on a UDP port of its own."""

    type = "RtpReceiver"

    def __init__(
        self,
        context: ElementContext,
        server: ServerContext,
        sources: list[str] | None = None,
        srtp_key: str = "",
    ) -> None:
        super().__init__(context)
        self._address = server.address
        parent = context.parent
        # Nobody waits for what is recorded.
        self._is_patient = isinstance(parent, MediaPipeline) and parent.role is StreamRole.RECORDER
        self._wanted = sources or []
        self._key = values.srtp_key_from_json(srtp_key)
        self._receiver: UdpReceiver | None = None

    async def open(self) -> None:
        self.source = self._receiver = await UdpReceiver.open(
            self._address, is_patient=self._is_patient
        )
        self._receiver.set_sources(self._wanted)
        self._read_with(self._key)

    async def close(self) -> None:
        if self._receiver is not None:
            self._receiver.close()

    @property
    def port(self) -> int:
        """Where it listens; 0 before it is open."""
        return self._receiver.port if self._receiver else 0

    def get_address(self) -> str:
        return self._address

    def get_port(self) -> int:
        return self.port

    def get_sources(self) -> list[str]:
        return list(self._receiver.sources) if self._receiver else self._wanted

    def set_sources(self, sources: list[str]) -> None:
        if self._receiver is not None:
            self._receiver.set_sources(sources)

    def set_srtp_key(self, srtp_key: str) -> None:
        key = values.srtp_key_from_json(srtp_key)
        if key != self._key:
            self._read_with(key)

    def _read_with(self, key: bytes) -> None:
        self._key = key
        if self._receiver is not None:
            self._receiver.unprotector = Unprotector(key) if key else None

    def count_in(self) -> Count:
        if self._receiver is None:
            return Count()
        stats = self._receiver.stats(self.clock.monotonic_s())
        return Count(packets=stats.packets, bytes=stats.bytes)

    def described(self, state: StreamState, now_s: float) -> StreamState:
        requested = self._receiver.pictures_requested if self._receiver else 0
        known = replace(
            super().described(state, now_s),
            port=state.port or self.port,
            sources=state.sources + tuple(self.get_sources()),
            pictures_requested=state.pictures_requested + requested,
            srtp_key_id=srtp_key_id(self._key),
        )
        return self.entered(known, now_s)

    def request_keyframe(self) -> None:
        if self._receiver is not None:
            self._receiver.feedback(PictureRequest(), self.clock.monotonic_s())


class RtpSender(MediaElement):
    """Sends a stream on to the hops after."""

    type = "RtpSender"

    def __init__(
        self,
        context: ElementContext,
        server: ServerContext,
        hops: list[Json] | None = None,
        srtp_key: str = "",
    ) -> None:
        super().__init__(context)
        self._wanted = values.targets_from_json(hops or [])
        parent = context.parent
        remembers = isinstance(parent, MediaPipeline) and parent.role in _REMEMBERING
        self._sender = UdpSender(server.address, self.report, remembers=remembers)
        self.pad = SinkPad(self._sender)
        self._key = b""
        self.set_srtp_key(srtp_key)

    async def open(self) -> None:
        self._aim(self._wanted)

    async def close(self) -> None:
        self._sender.close()

    @property
    def hops(self) -> tuple[Target, ...]:
        """Where to."""
        return tuple(Target(address=address, port=port) for address, port in self._sender.hops)

    def get_hops(self) -> list[Json]:
        return values.targets_to_json(self.hops)

    def set_hops(self, hops: list[Json]) -> None:
        self._aim(values.targets_from_json(hops))

    def set_srtp_key(self, srtp_key: str) -> None:
        key = values.srtp_key_from_json(srtp_key)
        if key != self._key:
            self._key = key
            self._sender.protector = Protector(key, self._now_ms) if key else None

    def _now_ms(self) -> int:
        return int(self.clock.now_s() * 1000)

    def described(self, state: StreamState, now_s: float) -> StreamState:
        known = replace(super().described(state, now_s), hops=state.hops + self.hops)
        return replace(known, srtp_key_id=srtp_key_id(self._key))

    def count_out(self) -> Count:
        stats = self._sender.stats(self.clock.monotonic_s())
        return Count(packets=stats.packets, bytes=stats.bytes)

    def _aim(self, hops: tuple[Target, ...]) -> None:
        known = set(self._sender.hops)
        self._sender.set_hops([(hop.address, hop.port) for hop in hops])
        new = set(self._sender.hops) - known
        if new:
            wanted = {(hop.address, hop.port) for hop in hops if hop.burst}
            self._sender.burst(new & wanted, self.clock.monotonic_s())
            # A new hop can show nothing before its first key picture.
            self.request_keyframe()
