"""HLS and low-latency HLS of one stream, in process and in memory.

In: the stream's packets. Out: answers to the paths under its folder; one for what comes next waits
for it. It always muxes: that costs less than deciding when to. Neighbours: hls/ decides everything,
the media server's HTTP calls `get`.
"""

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from umbel.kit.clock import Clock, SystemClock
from umbel.kit.errors import Invalid, NotFound, UmbelError, Unavailable
from umbel.kit.signal import Signal
from umbel.media.hls import playlist
from umbel.media.hls.muxer import Muxer
from umbel.media.hls.playlist import Name
from umbel.media.hls.variant import Variant
from umbel.media.hls.webvtt import Shown
from umbel.media.hls.window import DELAY_S, Availability
from umbel.media.io.aac_stream import AacCallbacks, AacStream
from umbel.media.model import CaptionTrack
from umbel.media.ports import Packets
from umbel.media.workers.pool import WorkerPool

_PLAYLIST_TYPE = "application/vnd.apple.mpegurl"
_MEDIA_TYPE = "video/mp4"
_CAPTIONS_TYPE = "text/vtt; charset=utf-8"
_WAIT_TARGETS = 3
_HELD_S = 30.0
_CAPTIONED_S = 30.0
"""So long after the control plane's last word on captions the stream has some."""


class HlsUnknown(NotFound):
    """The stream does not have this file, or no longer has it."""

    code = "umbel.hls_unknown"


class HlsTooFar(Invalid):
    """That part of the stream is too far ahead, or not a number."""

    code = "umbel.hls_too_far"


class HlsNoCaptions(NotFound):
    """No speech is recognised in the stream now."""

    code = "umbel.hls_no_captions"


class HlsLate(Unavailable):
    """The stream sends nothing at the moment."""

    code = "umbel.hls_late"


@dataclass(frozen=True, kw_only=True)
class HlsResponse:
    """What to answer over HTTP. `cache_control` is the header's value; `body` is coded with gzip if
    `is_gzip`. `varies`: another client may get it coded differently."""

    status: int
    content_type: str
    body: bytes
    cache_control: str
    varies: bool = False
    is_gzip: bool = False


class HlsStream:
    """A PacketSink that answers requests. Lives on one event loop. Where there are `workers` it
    also offers AAC."""

    def __init__(self, clock: Clock | None = None, workers: WorkerPool | None = None) -> None:
        self._clock = clock or SystemClock()
        self._workers = workers
        self._muxer = Muxer()
        first_number = int(self._clock.now_s())
        self._opus = Variant(playlist.MEDIA, self._muxer.segmenter, first_number)
        self._aac: AacStream | None = None
        self._aac_number = 0
        self._ending: set[asyncio.Task[None]] = set()
        self._is_ended = False
        self._captions = CaptionTrack(language="", cues=())
        self._captioned_s = self._held_s = float("-inf")
        self._behind_s = 0.0
        self._grown = Signal()

    def packets(self, batch: Packets, now_s: float) -> None:
        """Take packets. After `close` they are ignored."""
        if self._is_ended:
            return
        events = self._muxer.packets(batch, now_s)
        if events:
            self._opus.add(events, self._wall_s, lambda _: now_s)
            self._behind_s = now_s - self._opus.window.end_s
            self._grown.notify()
        if self._aac is not None:
            self._on_aac(self._aac)

    def close(self) -> None:
        """The stream is over: playlists end, nobody waits. What there is stays until dropped."""
        if not self._is_ended:
            self._is_ended = True
            self._opus.add(self._muxer.end(), self._wall_s, self._came_s)
            self._opus.window.end()
            self._end_aac()
            self._grown.notify()

    def put_captions(self, track: CaptionTrack) -> None:
        """What was said lately, in place of what was known of it."""
        self._captions, self._captioned_s = track, self._clock.monotonic_s()
        self._grown.notify()

    def tick(self) -> None:
        """Now and then: end what nobody listens to, or reads late."""
        if self._aac is not None and self._aac.is_over:
            self._end_aac()
        if self._clock.monotonic_s() - self._held_s > _HELD_S:
            for variant in self._variants():
                variant.window.is_held = False

    async def until_closed(self) -> None:
        """Wait for the encoders' end."""
        if self._ending:
            await asyncio.wait(self._ending)

    @property
    def stored_bytes(self) -> int:
        """How much media is kept in memory."""
        aac_bytes = self._aac.variant.window.stored_bytes if self._aac is not None else 0
        return self._opus.window.stored_bytes + aac_bytes

    async def get(
        self,
        path: str,
        query: Mapping[str, str],
        *,
        folder: str = "",
        accepts_gzip: bool = False,
    ) -> HlsResponse:
        """Answer a GET of `path` (relative to the stream's folder). `folder`, with its slash, is
        where the multivariant playlist sends the viewer. Never raises."""
        try:
            if path == playlist.MULTIVARIANT:
                return await self._multivariant(folder)
            if path == playlist.SUBTITLED:
                return await self._subtitled(folder)
            if path in playlist.PREFIXES:
                return await self._media_playlist(path, query, accepts_gzip)
            if path in playlist.LATE or path in playlist.CAPTIONS:
                return await self._late_playlist(path)
            name = playlist.read_name(path)
            if name is None:
                raise HlsUnknown
            return await self._file(name)
        except UmbelError as error:
            body = {"code": error.code, "message": error.message, "details": dict(error.details)}
            return HlsResponse(
                status=error.http_status,
                content_type="application/json",
                body=json.dumps(body).encode(),
                cache_control="no-store",
            )

    async def _multivariant(self, folder: str) -> HlsResponse:
        await self._until(lambda: _has_playlist(self._opus))
        # Not compressed: `folder` may be a secret, next to what a request can choose.
        has_aac = self._workers is not None
        text = playlist.multivariant(self._opus.window, folder, has_aac=has_aac)
        return _playlist_response(text.encode())

    async def _subtitled(self, folder: str) -> HlsResponse:
        """The control plane sees a player that asks, and tells what was said."""
        self._hold()
        try:
            await self._until(self._is_captioned)
        except HlsLate as error:
            raise HlsNoCaptions from error
        await self._until_late(self._opus)
        text = playlist.multivariant(
            self._opus.window,
            folder,
            has_aac=self._workers is not None,
            language=self._captions.language,
        )
        return _playlist_response(text.encode())

    async def _late_playlist(self, path: str) -> HlsResponse:
        name = playlist.LATE.get(path) or playlist.CAPTIONS[path]
        variant = self._opus if name == playlist.MEDIA else self._listen()
        self._hold()
        await self._until_late(variant)
        is_captions = path in playlist.CAPTIONS
        now_s = self._clock.monotonic_s()
        return _playlist_response(variant.late(now_s, captions=is_captions))

    async def _until_late(self, variant: Variant) -> None:
        """At the beginning of a stream there is nothing as old as that."""
        more_s = DELAY_S + variant.target_s
        await self._until(
            lambda: _has_playlist(variant) and variant.is_late(self._clock.monotonic_s()), more_s
        )

    def _is_captioned(self) -> bool:
        return self._clock.monotonic_s() - self._captioned_s < _CAPTIONED_S

    def _hold(self) -> None:
        """Keep what is read late for as long as somebody does."""
        self._held_s = self._clock.monotonic_s()
        for variant in self._variants():
            variant.window.is_held = True

    def _variants(self) -> list[Variant]:
        return [self._opus] if self._aac is None else [self._opus, self._aac.variant]

    def _caption_piece(self, variant: Variant, number: int) -> HlsResponse:
        said = [
            Shown(text=one.text, start_s=one.start_s, end_s=one.end_s)
            for one in self._captions.cues
        ]
        body = variant.captions(number, said)
        if body is None:
            raise HlsUnknown
        return HlsResponse(
            status=200, content_type=_CAPTIONS_TYPE, body=body, cache_control="no-cache"
        )

    async def _media_playlist(
        self, path: str, query: Mapping[str, str], accepts_gzip: bool
    ) -> HlsResponse:
        wanted = _wanted(query)
        await self._until(lambda: _has_playlist(self._opus))
        variant = self._opus if path == playlist.MEDIA else self._listen()
        await self._until(lambda: _has_playlist(variant))
        if wanted is not None:
            await self._until(lambda: _is_there(variant, *wanted))
        body = variant.media(compressed=accepts_gzip)
        return replace(_playlist_response(body), varies=True, is_gzip=accepts_gzip)

    async def _file(self, name: Name) -> HlsResponse:
        if name.playlist == playlist.MEDIA:
            variant = self._opus
        elif self._aac is None:
            raise HlsUnknown
        else:
            variant = self._listen()
        if name.kind == playlist.CAPTION:
            return self._caption_piece(variant, name.number)
        window = variant.window
        if name.kind == "part" and name.number == window.next_part:
            await self._until(lambda: name.number < window.next_part or window.is_ended)
        body = variant.file(name)
        if body is None:
            raise HlsUnknown
        age_s = _WAIT_TARGETS * variant.target_s
        return HlsResponse(
            status=200, content_type=_MEDIA_TYPE, body=body, cache_control=f"max-age={age_s}"
        )

    async def _until(self, is_so: Callable[[], bool], more_s: float = 0.0) -> None:
        """Wait until it is true. Raises HlsLate after three target durations and `more_s`."""
        try:
            async with asyncio.timeout(_WAIT_TARGETS * self._opus.target_s + more_s):
                while not is_so():
                    await self._grown.listen().wait()
        except TimeoutError as error:
            raise HlsLate from error

    def _listen(self) -> Variant:
        """The variant with AAC, which is made from now on if it was not. Raises HlsUnknown."""
        if self._workers is None or self._is_ended:
            raise HlsUnknown
        if self._aac is None or self._aac.is_over:
            self._end_aac()
            callbacks = AacCallbacks(on_ready=self._begin_aac, on_frames=self._on_aac)
            like = self._muxer.segmenter
            self._aac = AacStream(self._workers, like, callbacks, self._aac_number)
        self._aac.mark_seen()
        return self._aac.variant

    def _begin_aac(self, stream: AacStream) -> None:
        """Its first segments are those that are there already."""
        if stream is self._aac:
            self._muxer.aac = stream.segments
            sets = self._opus.window.segments[-1].opening.tracks.video
            stream.segments.begin(self._opus.recorded(), sets, self._clock.monotonic_s())
            self._on_aac(stream)

    def _on_aac(self, stream: AacStream) -> None:
        events = stream.segments.take()
        if events and stream is self._aac:
            stream.variant.add(events, self._wall_s, self._came_s)
            self._grown.notify()

    def _end_aac(self) -> None:
        stream, self._aac, self._muxer.aac = self._aac, None, None
        if stream is not None:
            # A player that knows these numbers must not meet them again with other contents.
            self._aac_number = stream.variant.window.next_number
            stream.variant.window.end()
            task = asyncio.create_task(stream.close(), name="end of AAC")
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)

    def _came_s(self, at_s: float) -> float:
        """When that came in: AAC is encoded later."""
        return at_s + self._behind_s

    def _wall_s(self, at_s: float) -> float:
        """When that was by the calendar."""
        clock = self._clock
        return self._muxer.wall_s(at_s, now_s=clock.now_s(), steady_s=clock.monotonic_s())


def _has_playlist(variant: Variant) -> bool:
    if variant.window.is_ended and not variant.window.closed:
        raise HlsUnknown
    return bool(variant.window.closed)


def _is_there(variant: Variant, number: int, part: int | None) -> bool:
    standing = variant.window.standing(number, part)
    if standing is Availability.TOO_FAR:
        raise HlsTooFar
    return standing is Availability.THERE


def _playlist_response(body: bytes) -> HlsResponse:
    return HlsResponse(status=200, content_type=_PLAYLIST_TYPE, body=body, cache_control="no-cache")


def _wanted(query: Mapping[str, str]) -> tuple[int, int | None] | None:
    """The state of the playlist a request waits for. Raises HlsTooFar if it makes no sense."""
    number, part = query.get("_HLS_msn"), query.get("_HLS_part")
    if number is None:
        if part is not None:
            raise HlsTooFar("_HLS_part needs _HLS_msn")
        return None
    texts = [number] if part is None else [number, part]
    if not all(text.isascii() and text.isdigit() and len(text) <= 15 for text in texts):
        raise HlsTooFar("_HLS_msn and _HLS_part are numbers")
    return int(number), int(part) if part is not None else None
