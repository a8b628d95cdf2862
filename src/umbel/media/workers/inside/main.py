"""A worker process, with its sockets as options. Neighbour: fork_server.py, which begins it.

In: JSON lines on stdin (`start` once, after any wait), media on one of the two input sockets. Out:
JSON lines on stdout, packets on the exit socket, problems on stderr. Ends with its input or its
parent.
"""

import argparse
import json
import os
import resource
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from umbel.kit import prctl
from umbel.kit.clock import SystemClock
from umbel.kit.errors import UmbelError
from umbel.media.ingest.packer import AudioPacker, VideoPacker
from umbel.media.ingest.sdp import RtpFormat
from umbel.media.model import VideoCodec, WorkerLimits
from umbel.media.speech import engines
from umbel.media.speech.model import Engine
from umbel.media.workers.frames import STREAM_KINDS
from umbel.media.workers.inside import gstreamer
from umbel.media.workers.inside.gstreamer import GstSample
from umbel.media.workers.inside.sound import AacSource
from umbel.media.workers.inside.sources import (
    REORDER_MS,
    FlvSource,
    MediaReader,
    RtpSource,
    SrtListener,
    TsSource,
)
from umbel.media.workers.inside.speech import SpeechSource
from umbel.media.workers.inside.thumbnails import ThumbnailSource
from umbel.media.workers.inside.tracks import AudioTrack, Intake, SizeLimit, VideoTrack

_READ_BYTES = 262_144
_ANSWER_S = 2.0
Message = dict[str, Any]


class Worker:
    """Joins the control channel, a source and the tracks."""

    def __init__(self, control: int, entries: dict[str, socket.socket], exit_: socket.socket):
        self._control = control
        self._entries = entries
        self._exit = exit_
        self._lock = threading.Lock()
        self._taken = 0
        self._srt: SrtListener | None = None
        self._intake: Intake | None = None
        self._answers: dict[int, tuple[threading.Event, list[bool]]] = {}
        self._asked = 0

    def run(self) -> NoReturn:
        """Prepare, then obey the control channel until it closes."""
        self._guarded(gstreamer.start)()
        self._tell({"event": "prepared"})
        for line in sys.stdin.buffer:
            message = json.loads(line)
            self._obey(message)
        end(0)

    def _obey(self, message: Message) -> None:
        kind = message["op"]
        if kind == "start":
            self._guarded(self._start)(message)
        elif kind == "ping":
            self._tell({"event": "pong", "taken": self._taken})
        elif kind == "answer":
            event, verdict = self._answers.pop(message["id"])
            verdict.append(bool(message["accept"]))
            event.set()
        elif kind == "kick" and self._srt is not None:
            self._srt.kick()
        elif kind == "stats" and self._srt is not None:
            arrived = self._srt.arrived()
            message = {"event": "stats", "expected": arrived.expected, "lost": arrived.lost}
            self._tell(message)
        elif kind == "key" and self._intake is not None:
            self._intake.request_key()

    def _start(self, message: Message) -> None:
        if message["kind"] == "srt":
            self._srt = SrtListener(message["uri"], self._ask, self)
        else:
            source = self._source(message)
            entry = self._entries["stream" if message["kind"] in STREAM_KINDS else "datagrams"]
            reader = threading.Thread(
                target=self._guarded(lambda: self._read(entry, source)), daemon=True
            )
            reader.start()
        self._tell({"event": "ready"})

    def _source(self, message: Message) -> MediaReader:
        limits = WorkerLimits(**message["limits"])
        _limit_memory(limits.memory_mb)
        if message["kind"] == "thumbnails":
            return ThumbnailSource(self._send, self._skip, limits.most_pixels)
        if message["kind"] == "aac":
            return AacSource(self._send, self.fail)
        if message["kind"] == "speech":
            engine = Engine(**message["engine"])
            recogniser = engines.make(engine, message["language"])
            return SpeechSource(recogniser, self._send, self.fail)
        intake = self._intake = self._make_intake(message, limits)
        if message["kind"] == "flv":
            return FlvSource(intake)
        if message["kind"] == "ts":
            return TsSource(intake, self.fail, self.refuse)
        formats = {item["medium"]: RtpFormat(**item) for item in message["formats"]}
        reorder_ms = message.get("reorder_ms", REORDER_MS)
        return RtpSource(intake, formats, SystemClock(), self.fail, reorder_ms)

    def _make_intake(self, message: Message, limits: WorkerLimits) -> Intake:
        video, audio = message["video"], message["audio"]
        codec = VideoCodec(message.get("codec", VideoCodec.H264.value))
        return Intake(
            VideoTrack(
                VideoPacker(**video, codec=codec),
                self._send,
                self.fail,
                height=message.get("height", 0),
                codec=codec,
                size_limit=SizeLimit(limits.most_pixels, self.refuse),
            ),
            AudioTrack(AudioPacker(**audio), self._send, self.fail),
            SystemClock(),
            lambda state: self._tell({"event": "media", **state}),
        )

    def _read(self, entry: socket.socket, source: MediaReader) -> None:
        while data := entry.recv(_READ_BYTES):
            self._taken += len(data)
            source.feed(data)
        source.finish()
        if self._intake is not None:
            self._intake.finish()
        self._tell({"event": "end"})
        end(0)

    def _guarded(self, action: Callable[..., None]) -> Callable[..., None]:
        def run(*arguments: Any) -> None:
            try:
                action(*arguments)
            except UmbelError as error:
                self.refuse(error)
            except Exception:  # noqa: BLE001 -- a worker that cannot go on says so and ends
                self.fail(traceback.format_exc())

        return run

    def _send(self, packets: Sequence[bytes]) -> None:
        try:
            for packet in packets:
                self._exit.send(packet)
        except OSError:
            end(1)  # the media server is gone or has dropped this worker

    def _tell(self, message: Message) -> None:
        line = json.dumps(message).encode() + b"\n"
        with self._lock:
            os.write(self._control, line)

    def _ask(self, stream_id: str) -> bool:
        with self._lock:
            self._asked += 1
            number = self._asked
        event, verdict = threading.Event(), list[bool]()
        self._answers[number] = (event, verdict)
        self._tell({"event": "caller", "id": number, "stream_id": stream_id})
        event.wait(_ANSWER_S)
        return bool(verdict and verdict[0])

    def _skip(self, reason: str) -> None:
        """A key picture of which there is no thumbnail."""
        self._tell({"event": "undecodable", "message": reason})

    def on_sample(self, sample: GstSample) -> None:
        """SRT: bytes of the caller."""
        self._send([sample.data])

    def on_gone(self) -> None:
        """SRT: the caller left."""
        self._tell({"event": "gone"})

    def on_problem(self, message: str) -> None:
        """SRT: the port is broken."""
        self.fail(message)

    def refuse(self, error: UmbelError) -> None:
        """The input cannot be taken, and never will."""
        self._tell({"event": "refused", "code": error.code, "message": error.message})
        end(0)

    def fail(self, message: str) -> None:
        """Something broke; another worker may do better."""
        sys.stderr.write(f"ingest worker: {message}\n")
        self._tell({"event": "failed", "message": message.strip().splitlines()[-1]})
        end(1)


def _limit_memory(most_mb: int) -> None:
    """A decoder that wants more fails, and this process with it: the machine goes on."""
    size = most_mb * 1024 * 1024
    resource.setrlimit(resource.RLIMIT_DATA, (size, size))


def end(code: int) -> NoReturn:
    """Leave at once: GStreamer's threads are not waited for."""
    sys.stderr.flush()
    os._exit(code)


def main(words: Sequence[str]) -> None:
    """Set the process up and run."""
    parser = argparse.ArgumentParser()
    for name in ("--stream", "--datagrams", "--exit", "--parent"):
        parser.add_argument(name, type=int, required=True)
    arguments = parser.parse_args(words)
    prctl.die_with_parent(signal.SIGKILL)
    if os.getppid() != arguments.parent:
        end(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Libraries may print: keep stdout for our lines alone.
    control = os.dup(1)
    os.dup2(2, 1)
    entries = {
        "stream": socket.socket(fileno=arguments.stream),
        "datagrams": socket.socket(fileno=arguments.datagrams),
    }
    Worker(control, entries, socket.socket(fileno=arguments.exit)).run()
