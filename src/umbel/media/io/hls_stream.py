"""HLS and low-latency HLS of one stream, in process and in memory.

In: the stream's packets. Out: answers to the paths under its folder; one for what comes next waits
for it. It always muxes: that costs less than deciding when to. Neighbours: hls/ decides everything,
the media server's HTTP calls `get`.
"""

import asyncio
import gzip
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from umbel.kit.clock import Clock, SystemClock
from umbel.kit.errors import Invalid, NotFound, UmbelError, Unavailable
from umbel.kit.signal import Signal
from umbel.media.hls import playlist
from umbel.media.hls.muxer import Muxer
from umbel.media.hls.playlist import Name
from umbel.media.hls.segmenter import Part, SegmenterEvent
from umbel.media.hls.window import Availability, Window
from umbel.media.ports import Packets

_PLAYLIST_TYPE = "application/vnd.apple.mpegurl"
_MEDIA_TYPE = "video/mp4"
_WAIT_TARGETS = 3
_TRUSTED_CLOCK_S = 60.0


class HlsUnknown(NotFound):
    """The stream does not have this file, or no longer has it."""

    code = "umbel.hls_unknown"


class HlsTooFar(Invalid):
    """That part of the stream is too far ahead, or not a number."""

    code = "umbel.hls_too_far"


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
    """A PacketSink that answers requests. Lives on one event loop."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._muxer = Muxer()
        self._window = Window(first_number=int(self._clock.now_s()))
        self._grown = Signal()
        self._media, self._media_gzip, self._media_version = b"", b"", -1

    def packets(self, batch: Packets, now_s: float) -> None:
        """Take packets. After `close` they are ignored."""
        if not self._window.is_ended:
            self._take(self._muxer.packets(batch, now_s), now_s)

    def close(self) -> None:
        """The stream is over: playlists end, nobody waits. What there is stays until dropped."""
        if not self._window.is_ended:
            self._take(self._muxer.end(), self._clock.monotonic_s())
            self._window.end()
            self._grown.notify()

    @property
    def stored_bytes(self) -> int:
        """How much media is kept in memory."""
        return self._window.stored_bytes

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
            if path == playlist.MEDIA:
                return await self._media_playlist(query, accepts_gzip)
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
        await self._until(self._has_playlist)
        # Not compressed: `folder` may be a secret, next to what a request can choose.
        body = playlist.multivariant(self._window, folder).encode()
        return _playlist_response(body)

    async def _media_playlist(self, query: Mapping[str, str], accepts_gzip: bool) -> HlsResponse:
        wanted = _wanted(query)
        await self._until(self._has_playlist)
        if wanted is not None:
            await self._until(lambda: self._is_there(*wanted))
        self._write_media()
        body = self._media_gzip if accepts_gzip else self._media
        return replace(_playlist_response(body), varies=True, is_gzip=accepts_gzip)

    async def _file(self, name: Name) -> HlsResponse:
        window = self._window
        if name.kind == "part" and name.number == window.next_part:
            await self._until(lambda: name.number < window.next_part or window.is_ended)
        find = {"init": window.section, "segment": window.segment, "part": window.part}
        body = find[name.kind](name.number)
        if body is None:
            raise HlsUnknown
        age_s = _WAIT_TARGETS * self._target_s
        return HlsResponse(
            status=200, content_type=_MEDIA_TYPE, body=body, cache_control=f"max-age={age_s}"
        )

    async def _until(self, is_so: Callable[[], bool]) -> None:
        """Wait until it is true. Raises HlsLate after three target durations."""
        try:
            async with asyncio.timeout(_WAIT_TARGETS * self._target_s):
                while not is_so():
                    await self._grown.listen().wait()
        except TimeoutError as error:
            raise HlsLate from error

    def _has_playlist(self) -> bool:
        if self._window.is_ended and not self._window.closed:
            raise HlsUnknown
        return bool(self._window.closed)

    def _is_there(self, number: int, part: int | None) -> bool:
        standing = self._window.standing(number, part)
        if standing is Availability.TOO_FAR:
            raise HlsTooFar
        return standing is Availability.THERE

    def _write_media(self) -> None:
        """Write the media playlist, and compress it, once a version: all viewers get the same."""
        if self._media_version != self._window.version:
            self._muxer.segmenter.cutter.published = True
            self._media = playlist.media(self._window, self._target_s).encode()
            self._media_gzip = gzip.compress(self._media, mtime=0)
            self._media_version = self._window.version

    @property
    def _target_s(self) -> int:
        return self._muxer.segmenter.cutter.target_s

    def _take(self, events: list[SegmenterEvent], now_s: float) -> None:
        for event in events:
            wall_s = 0.0
            if isinstance(event, Part) and event.opens is not None:
                wall_s = self._wall_s(event.opens.at_s, now_s)
            self._window.add(event, wall_s=wall_s, target_s=self._target_s)
        if events:
            self._grown.notify()

    def _wall_s(self, at_s: float, now_s: float) -> float:
        """When that was by the calendar: the sender's word, if it is plausible."""
        own_s = self._clock.now_s() - (now_s - at_s)
        sender_s = self._muxer.wall_s(at_s)
        return (
            sender_s if sender_s is not None and abs(sender_s - own_s) < _TRUSTED_CLOCK_S else own_s
        )


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
