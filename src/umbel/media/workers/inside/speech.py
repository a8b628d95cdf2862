"""In a worker: a stream's sound made into cues.

In: blocks (frames.py), each an Opus packet behind the calendar's time of its beginning (64 bit,
microseconds). Out: messages, each a cue (speech/cues.py) or PROGRESS: a second of sound is done.
The engine works on GStreamer's thread. While it does, the source blocks, and what comes waits in
the media server, which drops what becomes too much.
"""

import os
import struct
from collections.abc import Callable, Sequence

from umbel.media.model import AUDIO_CLOCK_HZ
from umbel.media.rtp.depacketize import opus_duration
from umbel.media.speech import cues
from umbel.media.speech.cues import SoundClock
from umbel.media.speech.model import BYTES_PER_S, SAMPLE_HZ, Phrase
from umbel.media.speech.ports import Recogniser
from umbel.media.workers.frames import PROGRESS, BlockReader
from umbel.media.workers.inside.gstreamer import Callbacks, GstSample, Pipeline, sink

_WALL = struct.Struct("!q")
_NS = 1_000_000_000
_DRAIN_S = 5.0
_PROGRESS_S = 1.0
_NICE = 10
_PIPELINE = (
    "appsrc name=in format=time block=true max-buffers=100 max-bytes=0 max-time=0"
    " caps=audio/x-opus,channel-mapping-family=0 ! opusdec ! audioconvert ! audioresample"
    f" ! audio/x-raw,format=S16LE,rate={SAMPLE_HZ},channels=1,layout=interleaved ! " + sink("out")
)


class SpeechSource:
    """A MediaReader: takes blocks, sends cues."""

    def __init__(
        self,
        recogniser: Recogniser,
        send: Callable[[Sequence[bytes]], None],
        fail: Callable[[str], None],
    ) -> None:
        self._recogniser = recogniser
        self._send = send
        self._blocks = BlockReader()
        self._clock = SoundClock()
        self._fed_ticks = 0
        self._heard_s = 0.0
        self._reported_s = 0.0
        os.nice(_NICE)  # pictures and packets go first
        self._pipeline = Pipeline(_PIPELINE, Callbacks(on_sample=self._emit, on_problem=fail))
        self._pipeline.play()

    def feed(self, data: bytes) -> None:
        """Take a piece of the stream; blocks while the engine has enough."""
        for block in self._blocks.feed(data):
            (wall_us,) = _WALL.unpack_from(block)
            packet = block[_WALL.size :]
            # To the decoder the sound has no gaps: the clock knows where they are.
            self._clock.note(self._fed_ticks / AUDIO_CLOCK_HZ, wall_us / 1_000_000)
            at_ns = self._fed_ticks * _NS // AUDIO_CLOCK_HZ
            self._fed_ticks += opus_duration(packet)
            self._pipeline.push("in", packet, at_ns, at_ns)

    def finish(self) -> None:
        """Give out what is inside."""
        self._pipeline.finish(_DRAIN_S)
        self._pipeline.stop()
        self._say(self._recogniser.finish())
        self._recogniser.close()

    def _emit(self, sample: GstSample) -> None:
        self._heard_s += len(sample.data) / BYTES_PER_S
        self._say(self._recogniser.feed(sample.data))
        if self._heard_s - self._reported_s >= _PROGRESS_S:
            self._reported_s = self._heard_s
            self._send([PROGRESS])

    def _say(self, phrases: Sequence[Phrase]) -> None:
        final = [phrase for phrase in phrases if phrase.is_final]
        pieces = [piece for phrase in final for piece in cues.split(phrase)]
        self._send([cues.encode(cues.on_calendar(piece, self._clock)) for piece in pieces])
