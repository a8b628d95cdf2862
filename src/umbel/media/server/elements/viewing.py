"""What viewers are served by, as elements: WhepEndpoint and HlsEndpoint.

In: packets; offers and requests that public.py has let in, with the viewer's session. Out: answers.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from umbel.kit import languages
from umbel.media.api import values
from umbel.media.hls import playlist
from umbel.media.io.hls_stream import HlsResponse, HlsStream
from umbel.media.model import MOST_CUES_SENT, CaptionTrack, StreamState, VideoCodec
from umbel.media.rpc.faults import ParamIllegal
from umbel.media.rtp.pads import SinkPad
from umbel.media.rtp.stream import LiveStream
from umbel.media.server.elements.base import ElementContext, MediaElement
from umbel.media.server.elements.context import ServerContext
from umbel.media.server.elements.fan import Guard
from umbel.media.server.elements.flow import Count
from umbel.media.server.elements.peers import Peers
from umbel.media.server.elements.pipeline import pipeline_of
from umbel.media.webrtc.reports import Answer

_HLS_VIEWER_S = 10.0
_MOST_PER_SESSION = 4


class WhepEndpoint(MediaElement):
    """Serves a stream by WHEP. A session has at most 4 connections; the oldest goes first. With a
    `codec` it answers offers rightly also before the first packet."""

    type = "WhepEndpoint"

    def __init__(
        self, context: ElementContext, server: ServerContext, codec: str | None = None
    ) -> None:
        super().__init__(context)
        self._server = server
        pipeline = pipeline_of(context.parent)
        self._stream, self._revoked = pipeline.stream, pipeline.revoked
        self._live = LiveStream(VideoCodec(codec).payload_type if codec else None)
        self.peers = Peers(server.peer_counts)
        self._live.on_feedback = self.report
        self.pad = SinkPad(Guard(self._live, self.id))

    async def close(self) -> None:
        for resource in self.peers.resources():
            self.end(resource)

    def get_url(self) -> str:
        return self._server.url(f"/whep/{self._stream}")

    def get_viewers(self) -> list[str]:
        return list(self.viewers)

    @property
    def viewers(self) -> tuple[str, ...]:
        """The sessions connected now, each once."""
        return self.peers.sessions()

    def watch(self, offer: str, session: str) -> Answer:
        """Answer a viewer's offer. Raises TokenRevoked, Invalid for one that cannot be answered."""
        self._revoked.check(session)
        for before in self.peers.of({session})[: 1 - _MOST_PER_SESSION]:
            self.end(before)
        resources: list[str] = []

        def on_end(_reason: str) -> None:
            for resource in resources:
                self.peers.remove(resource)

        answer = self._server.webrtc.watch(offer, self._live, session=session, on_end=on_end)
        resources.append(answer.resource)
        self.peers.add(answer.resource, session)
        return answer

    def end(self, resource: str) -> None:
        """The viewer leaves."""
        self._server.webrtc.delete(resource)

    def end_sessions(self, sessions: Collection[str]) -> None:
        for resource in self.peers.of(sessions):
            self.end(resource)

    def described(self, state: StreamState, now_s: float) -> StreamState:
        known = super().described(state, now_s)
        return _served(known, ("whep", self.get_url()), self.viewers)

    def count_out(self) -> Count:
        return self.peers.count()


class HlsEndpoint(MediaElement):
    """Serves a stream by HLS. A session counts as a viewer for 10 s after a request."""

    type = "HlsEndpoint"

    def __init__(self, context: ElementContext, server: ServerContext) -> None:
        super().__init__(context)
        self._server = server
        pipeline = pipeline_of(context.parent)
        self._stream, self._revoked = pipeline.stream, pipeline.revoked
        self._hls = HlsStream(context.clock, server.workers)
        self._seen_s: dict[str, float] = {}
        self._sent = Count()
        self.pad = SinkPad(Guard(self._hls, self.id))

    async def close(self) -> None:
        self._hls.close()
        await self._hls.until_closed()

    def get_url(self) -> str:
        return self._server.url(f"/hls/{self._stream}/{playlist.MULTIVARIANT}")

    def get_subtitled_url(self) -> str:
        return self._server.url(f"/hls/{self._stream}/{playlist.SUBTITLED}")

    def put_captions(self, language: str, cues: Sequence[object]) -> None:
        if not languages.is_tag(language) or len(cues) > MOST_CUES_SENT:
            raise ParamIllegal(f"captions have a language tag and at most {MOST_CUES_SENT} cues")
        self._hls.put_captions(CaptionTrack(language=language, cues=values.cues_of(cues)))

    def get_viewers(self) -> list[str]:
        return list(self.viewers)

    @property
    def viewers(self) -> tuple[str, ...]:
        """The sessions that asked for something lately."""
        oldest_s = self.clock.monotonic_s() - _HLS_VIEWER_S
        return tuple(name for name, seen_s in self._seen_s.items() if seen_s >= oldest_s)

    async def get(
        self,
        path: str,
        query: Mapping[str, str],
        session: str,
        *,
        folder: str = "",
        accepts_gzip: bool = False,
    ) -> HlsResponse:
        """Answer one request as HlsStream.get; may wait for a part that is not there yet.
        Raises TokenRevoked."""
        self._revoked.check(session)
        self._seen_s[session] = self.clock.monotonic_s()
        response = await self._hls.get(path, query, folder=folder, accepts_gzip=accepts_gzip)
        sent = self._sent
        self._sent = Count(packets=sent.packets + 1, bytes=sent.bytes + len(response.body))
        return response

    def end_sessions(self, sessions: Collection[str]) -> None:
        for session in self._seen_s.keys() & set(sessions):
            del self._seen_s[session]

    def tick(self, now_s: float) -> None:
        super().tick(now_s)
        self._hls.tick()
        old = [n for n, seen_s in self._seen_s.items() if seen_s < now_s - _HLS_VIEWER_S]
        for session in old:
            del self._seen_s[session]

    def described(self, state: StreamState, now_s: float) -> StreamState:
        known = super().described(state, now_s)
        served = _served(known, ("hls", self.get_url()), self.viewers)
        subtitled = ("hls_subtitled", self.get_subtitled_url())
        return replace(
            served,
            urls=(*served.urls, subtitled),
            hls_viewers=served.hls_viewers + self.viewers,
        )

    def count_out(self) -> Count:
        return self._sent


def _served(state: StreamState, url: tuple[str, str], viewers: tuple[str, ...]) -> StreamState:
    """The state with a way to watch; a session that watches two ways is one viewer."""
    everyone = tuple(dict.fromkeys(state.viewers + viewers))
    return replace(state, urls=(*state.urls, url), viewers=everyone)
