"""Media servers in memory: the same answers as the real ones, and a world to play with.

In: StreamSpecs, and what a test or the simulator lets happen (`publish`, `lose`, ...). Out:
StreamStates, in which a stream flows where its hops lead, as packets would.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from umbel.kit.errors import NotFound, Unavailable
from umbel.media import roles
from umbel.media.ingest import sdp, sources
from umbel.media.model import (
    INGEST_PORTS,
    MOST_CUES_SENT,
    CaptionTrack,
    CueBatch,
    IngestState,
    NumberedCue,
    Server,
    StreamRole,
    StreamSpec,
    StreamState,
    Target,
    Thumbnail,
    VideoCodec,
    WantedCues,
    srtp_key_id,
)

_FIRST_RTP_PORT = 20_000
_HTTP_PORT = 8080
_RTMP_PORT = 1935
_JPEG = b"\xff\xd8\xff"  # how every JPEG begins
_RENDITION_SHARE = 0.35  # of the source's rate: what 360 lines take where it has 720


@dataclass
class FakeStream:
    """A stream at a function."""

    spec: StreamSpec
    port: int
    ingest: IngestState | None
    encoder_ports: tuple[tuple[str, int], ...] = ()
    mbps: float = 0.0
    viewers: tuple[str, ...] = ()
    pictures_requested: int = 0
    revoked: set[str] = field(default_factory=set)
    cues: list[NumberedCue] = field(default_factory=list)
    cues_boot: str = "first"
    hls_viewers: tuple[str, ...] = ()
    captions: CaptionTrack | None = None
    mbps_in: float | None = None
    """What arrives, once it was reckoned, and until something is wired or published."""


@dataclass
class _FakeFunction:
    address: str
    has_channel: bool = False
    is_cut: bool = False
    streams: dict[str, FakeStream] = field(default_factory=dict)


class FakeMedia:
    """A MediaDriver without media. Ports and URLs are the same in every run."""

    def __init__(self) -> None:
        self._functions: dict[str, _FakeFunction] = {}
        self._watchers: list[Callable[[str, str], None]] = []
        self._next_port = _FIRST_RTP_PORT
        self.unpulled: Callable[[FakeStream], int] = lambda _: 0
        self._fed: dict[Target, list[tuple[_FakeFunction, FakeStream]]] | None = None

    async def ensure(self, server: Server, spec: StreamSpec) -> StreamState:
        roles.check(spec)
        if spec.rtp_offer:
            sdp.parse(spec.rtp_offer)
        sources.parse(spec.sources)
        function = self._reach(server)
        self._rewire()
        known = function.streams.get(spec.stream)
        if known is None:
            function.streams[spec.stream] = self._make(spec)
        elif known.spec.role is not spec.role:
            raise roles.RoleFixed
        else:
            known.spec = replace(spec, is_over=spec.is_over or known.spec.is_over)
        self._revoke(function.streams[spec.stream], dict(spec.revoked))
        return self._state(function, function.streams[spec.stream])

    async def remove(self, server: Server, stream: str) -> None:
        self._reach(server).streams.pop(stream, None)
        self._rewire()

    async def observe(self, server: Server) -> dict[str, StreamState]:
        function = self._reach(server)
        return {name: self._state(function, s) for name, s in function.streams.items()}

    async def thumbnail(self, server: Server, stream: str) -> Thumbnail | None:
        found = self._reach(server).streams.get(stream)
        if found is None or found.ingest is None or not found.ingest.protocol:
            return None
        return Thumbnail(jpeg=_JPEG + stream.encode(), age_s=0.0)

    async def read_cues(self, server: Server, stream: str, wanted: WantedCues) -> CueBatch | None:
        found = self._reach(server).streams.get(stream)
        if found is None or found.ingest is None or not found.ingest.protocol:
            return None
        least = wanted.after if wanted.boot == found.cues_boot else 0
        cues = tuple(one for one in found.cues if one.number > least)
        return CueBatch(boot=found.cues_boot, cues=cues[:MOST_CUES_SENT])

    async def put_captions(self, server: Server, stream: str, track: CaptionTrack) -> None:
        found = self._reach(server).streams.get(stream)
        if found is not None and found.spec.role is StreamRole.EDGE:
            found.captions = track

    def watch(self, on_change: Callable[[str, str], None]) -> None:
        self._watchers.append(on_change)

    async def forget(self, function_id: str) -> None:
        if function_id in self._functions:
            self._functions[function_id].has_channel = False

    async def close(self) -> None:
        self._watchers.clear()

    def publish(
        self, function_id: str, stream: str, *, mbps: float = 2.0, state: IngestState | None = None
    ) -> None:
        """A provider starts to push to the acquirer. Raises NotFound when it has no such stream."""
        found = self._stream(function_id, stream)
        self._rewire()
        found.mbps = mbps
        found.ingest = state or IngestState(
            protocol="rtmp",
            video="H.264",
            audio="AAC",
            width=1280,
            height=720,
            transcoding="audio: AAC to Opus",
        )
        self._notify(function_id, stream)

    def say(self, function_id: str, stream: str, text: str, start_s: float, end_s: float) -> None:
        """Somebody says it in the stream, and it is recognised."""
        cues = self._stream(function_id, stream).cues
        cues.append(NumberedCue(number=len(cues) + 1, text=text, start_s=start_s, end_s=end_s))

    def stop_publishing(self, function_id: str, stream: str) -> None:
        """The provider stops."""
        found = self._stream(function_id, stream)
        self._rewire()
        found.mbps, found.ingest = 0.0, IngestState()
        self._notify(function_id, stream)

    def refuse(self, function_id: str, stream: str, reason: str) -> None:
        """A provider was turned away, for a wrong key or an unreadable format."""
        self._stream(function_id, stream).ingest = IngestState(error=reason)
        self._notify(function_id, stream)

    def set_viewers(self, function_id: str, stream: str, sessions: Iterable[str]) -> None:
        """Who tries to watch now: who was revoked is refused."""
        found = self._stream(function_id, stream)
        found.viewers = tuple(s for s in sessions if s not in found.revoked)

    def set_hls_viewers(self, function_id: str, stream: str, sessions: Iterable[str]) -> None:
        """Which of the viewers use HLS."""
        self._stream(function_id, stream).hls_viewers = tuple(sessions)

    def captions(self, function_id: str, stream: str) -> CaptionTrack | None:
        """What the function was given of what was said; None for nothing."""
        return self._stream(function_id, stream).captions

    def spec(self, function_id: str, stream: str) -> StreamSpec:
        """The newest spec of the function. Raises NotFound when it does not carry the stream."""
        return self._stream(function_id, stream).spec

    def recorder(self, url: str) -> FakeStream | None:
        """The recorder's stream whose segments are pulled there."""
        for function in self._functions.values():
            for stream in function.streams.values():
                if ("record", url) in _urls(function.address, stream):
                    return None if function.is_cut else stream
        return None

    def flows(self, stream: FakeStream) -> bool:
        """Whether the stream arrives there."""
        return any(
            self._mbps_in(function, one) > 0
            for function in self._functions.values()
            for one in function.streams.values()
            if one is stream
        )

    def request_picture(self, function_id: str, stream: str) -> None:
        """A receiver there needs a key picture: the request goes up to who encodes the stream."""
        function, found = self._known(function_id), self._stream(function_id, stream)
        self._request_picture(function, found, frozenset())

    def lose(self, function_id: str) -> None:
        """The process was killed and started again: it has forgotten every stream."""
        function = self._functions.get(function_id)
        if function is not None:
            function.streams.clear()
            self._rewire()
        self._notify(function_id, "")

    def cut(self, function_id: str) -> None:
        """The control channel breaks; media goes on. Until `mend` the server is Unavailable."""
        self._known(function_id).is_cut = True
        self._notify(function_id, "")

    def mend(self, function_id: str) -> None:
        """The control channel is back."""
        self._known(function_id).is_cut = False
        self._notify(function_id, "")

    def _reach(self, server: Server) -> _FakeFunction:
        function = self._functions.setdefault(server.function_id, _FakeFunction(server.address))
        if function.address != server.address:
            function.address = server.address
            self._rewire()
        if function.is_cut:
            raise Unavailable(f"{server} does not answer")
        function.has_channel = True
        return function

    def _rewire(self) -> None:
        """Who feeds whom, or what is fed, may be another from now on."""
        self._fed = None
        for function in self._functions.values():
            for stream in function.streams.values():
                stream.mbps_in = None

    def _make(self, spec: StreamSpec) -> FakeStream:
        if spec.role is StreamRole.ACQUIRER:
            known = spec.ports or tuple(self._port() for _ in INGEST_PORTS)
            ports = tuple(zip(INGEST_PORTS, known, strict=False))
            return FakeStream(spec=spec, port=0, ingest=IngestState(), encoder_ports=ports)
        return FakeStream(spec=spec, port=self._port(), ingest=None)

    @staticmethod
    def _revoke(stream: FakeStream, sessions: Collection[str]) -> None:
        stream.revoked |= set(sessions)
        stream.viewers = tuple(s for s in stream.viewers if s not in stream.revoked)

    def _port(self) -> int:
        self._next_port += 1
        return self._next_port - 1

    def _known(self, function_id: str) -> _FakeFunction:
        if function_id not in self._functions:
            raise NotFound(f"no media server {function_id}")
        return self._functions[function_id]

    def _stream(self, function_id: str, stream: str) -> FakeStream:
        found = self._known(function_id).streams.get(stream)
        if found is None:
            raise NotFound(f"{function_id} does not carry {stream}")
        return found

    def _state(self, function: _FakeFunction, stream: FakeStream) -> StreamState:
        spec = stream.spec
        mbps = self._mbps_in(function, stream)
        return StreamState(
            stream=spec.stream,
            role=spec.role,
            port=stream.port,
            sources=spec.sources,
            hops=spec.hops,
            urls=tuple(_urls(function.address, stream)),
            ingest=stream.ingest,
            viewers=stream.viewers,
            hls_viewers=tuple(s for s in stream.hls_viewers if s in stream.viewers),
            mbps_in=mbps,
            mbps_out=mbps * _share(stream) * (len(spec.hops) + len(stream.viewers)),
            flowing=mbps > 0,
            rtp_answer=_rtp_answer(function.address, stream),
            pictures_requested=stream.pictures_requested,
            srtp_key_id=srtp_key_id(spec.srtp_key),
            unpulled=self.unpulled(stream) if spec.role is StreamRole.RECORDER else 0,
            is_over=spec.is_over,
            is_held=spec.is_held,
        )

    def _mbps_in(self, function: _FakeFunction, stream: FakeStream) -> float:
        if stream.mbps_in is None:
            stream.mbps_in = self._mbps_at(function, stream, frozenset())
        return stream.mbps_in

    def _request_picture(
        self, function: _FakeFunction, stream: FakeStream, seen: frozenset[Target]
    ) -> None:
        here = Target(address=function.address, port=stream.port)
        if here in seen or stream.spec.role is StreamRole.TRANSCODER:
            return  # a transcoder's own encoder answers
        stream.pictures_requested += 1
        for other, candidate in self._feeders(here):
            self._request_picture(other, candidate, seen | {here})

    def _feeders(self, here: Target) -> Sequence[tuple[_FakeFunction, FakeStream]]:
        """Who has this as a hop."""
        if self._fed is None:
            self._fed = {}
            for function in self._functions.values():
                for stream in function.streams.values():
                    for hop in dict.fromkeys(stream.spec.hops):
                        self._fed.setdefault(hop, []).append((function, stream))
        return self._fed.get(here, ())

    def _mbps_at(
        self,
        function: _FakeFunction,
        stream: FakeStream,
        seen: frozenset[Target],
        key: bytes | None = None,
    ) -> float:
        """The rate that arrives here: from the provider, or from functions with this hop that are
        among the sources. `key` is the one that a reader below has; forwarders read nothing."""
        if stream.spec.role is not StreamRole.FORWARDER:
            if key not in {None, stream.spec.srtp_key}:
                return 0.0
            key = stream.spec.srtp_key
        if stream.port == 0:
            return stream.mbps
        here = Target(address=function.address, port=stream.port)
        if here in seen:
            return 0.0
        return sum(
            self._mbps_at(other, candidate, seen | {here}, key) * _share(candidate)
            for other, candidate in self._feeders(here)
            if not stream.spec.sources or other.address in stream.spec.sources
        )

    def _notify(self, function_id: str, stream: str) -> None:
        function = self._functions.get(function_id)
        if function is None or not function.has_channel:
            return
        for on_change in self._watchers:
            on_change(function_id, stream)


def _share(stream: FakeStream) -> float:
    """What comes out of what comes in."""
    return _RENDITION_SHARE if stream.spec.role is StreamRole.TRANSCODER else 1.0


def _urls(address: str, stream: FakeStream) -> Iterator[tuple[str, str]]:
    base, name = f"http://{address}:{_HTTP_PORT}", stream.spec.stream
    if stream.spec.role is StreamRole.ACQUIRER:
        yield "rtmp", f"rtmp://{address}:{_RTMP_PORT}/live"
        for protocol, port in stream.encoder_ports:
            yield protocol, f"{'srt://' if protocol == 'srt' else ''}{address}:{port}"
        yield "whip", f"{base}/whip/{name}"
    if stream.spec.role is StreamRole.EDGE:
        yield "whep", f"{base}/whep/{name}"
        if stream.spec.codec is VideoCodec.H264:
            yield "hls", f"{base}/hls/{name}/index.m3u8"
            yield "hls_subtitled", f"{base}/hls/{name}/subtitled.m3u8"
    if stream.spec.role is StreamRole.RECORDER:
        yield "record", f"{base}/record/{name}/segments"


def _rtp_answer(address: str, stream: FakeStream) -> str:
    offer = stream.spec.rtp_offer
    if not offer or not stream.encoder_ports:
        return ""
    return sdp.answer(sdp.parse(offer), address, dict(stream.encoder_ports)["rtp"])
