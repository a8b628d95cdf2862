"""Recorders in memory: segments of silence for as long as the fake media flow there.

In: a FakeMedia's world, and the clock. Out: whole segments as a real recorder gives them, which
players can play. Time is looked at four times a second while somebody pulls, and whenever the state
of the stream is asked for.
"""

import asyncio
from dataclasses import dataclass

from umbel.kit.clock import Clock
from umbel.kit.errors import Unavailable
from umbel.media.drivers.fake import FakeMedia, FakeStream
from umbel.media.hls import boxes
from umbel.media.hls.boxes import AUDIO_TRACK, Sample, Sound, Tracks
from umbel.media.hls.segmenter import Opening, Part, SegmentEnd
from umbel.media.io.recording import WAIT_S
from umbel.media.model import AUDIO_CLOCK_HZ, Pulled
from umbel.media.record import answer
from umbel.media.record.buffer import SegmentBuffer

SEGMENT_S = 2.0
_LOOK_S = 0.25
_TRACKS = Tracks(None, Sound.OPUS)
_SILENCE = b"\xf8\xff\xfe"
_PACKET = AUDIO_CLOCK_HZ // 50


@dataclass
class _Life:
    """One recorder's life; its open segment began at `opened_s`."""

    stream: FakeStream
    buffer: SegmentBuffer
    began_s: float
    opened_s: float | None = None
    breaks: bool = False
    fragments: int = 0


class FakeRecorders:
    """Recorders of the streams that a FakeMedia has."""

    def __init__(self, media: FakeMedia, clock: Clock) -> None:
        self._media = media
        self._clock = clock
        self._lives: list[_Life] = []
        media.unpulled = lambda stream: self._life(stream).buffer.unpulled

    async def pull(self, url: str, token: str, after: int, boot: str) -> Pulled:
        life = self._look(url, token)
        number = life.buffer.acknowledge(boot, after)
        give_up_s = self._clock.monotonic_s() + WAIT_S
        while not (life.buffer.has_after(number) or life.buffer.is_over):
            if self._clock.monotonic_s() >= give_up_s:
                break
            await asyncio.sleep(_LOOK_S)
            life = self._look(url, token)
        return answer.decode(answer.encode(life.buffer.after(number)))

    async def close(self) -> None:
        self._lives.clear()

    def _look(self, url: str, token: str) -> _Life:
        """The recorder's life up to now. Raises Unavailable."""
        found = self._media.recorder(url)
        if found is None or found.spec.record_token != token:
            raise Unavailable(f"no recorder gives {url} for this token")
        return self._life(found)

    def _life(self, found: FakeStream) -> _Life:
        now_s = self._clock.now_s()
        life = next((life for life in self._lives if life.stream is found), None)
        if life is None:
            life = _Life(found, SegmentBuffer(f"boot{len(self._lives)}"), now_s)
            self._lives.append(life)
        self._advance(life, now_s, flows=self._media.flows(found), is_over=found.spec.is_over)
        life.buffer.is_held = found.spec.is_held
        return life

    @staticmethod
    def _advance(life: _Life, now_s: float, *, flows: bool, is_over: bool) -> None:
        if life.buffer.is_over:
            return
        if flows and life.opened_s is None:
            life.opened_s = now_s
        while life.opened_s is not None and now_s - life.opened_s >= SEGMENT_S:
            _record(life, SEGMENT_S)
        if (not flows or is_over) and life.opened_s is not None:
            _record(life, now_s - life.opened_s)
            life.opened_s, life.breaks = None, True
        if is_over:
            life.buffer.end()


def _record(life: _Life, length_s: float) -> None:
    """A segment of that length, if a packet fits into it."""
    at_s = life.opened_s or 0.0
    life.opened_s = at_s + length_s
    count = int(length_s * AUDIO_CLOCK_HZ / _PACKET + 0.5)
    if not count:
        return
    first = round((at_s - life.began_s) * AUDIO_CLOCK_HZ)
    silence = [Sample(first + n * _PACKET, _PACKET, _SILENCE, True) for n in range(count)]
    life.fragments += 1
    part = Part(
        duration_s=length_s,
        independent=True,
        starts_clean=True,
        frames=0,
        body=boxes.fragment(life.fragments, [(AUDIO_TRACK, first, silence)]),
        opens=Opening(_TRACKS, life.breaks, at_s),
    )
    life.breaks = False
    life.buffer.add([part, SegmentEnd()], lambda wall_s: wall_s)
