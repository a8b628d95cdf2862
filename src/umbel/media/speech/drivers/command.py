"""Any program as a recogniser: whisper.cpp, Vosk, or a client of a service, behind a small script.

In: the program's standard input gets the sound as it comes (SAMPLE_HZ, 16 bit little-endian, one
channel). Out: each line of its standard output is a phrase, as lines.py reads it. Its standard
error is the media server's. It ends with the process that started it.
"""

import logging
import queue
import shlex
import signal
import subprocess
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import IO

from umbel.kit import prctl
from umbel.media.speech.lines import LONGEST_LINE, MalformedLine, read_line
from umbel.media.speech.model import Phrase, SpeechFailed, SpeechUnavailable

log = logging.getLogger(__name__)  # a worker loads as little as it can

_END_S = 5.0
_MOST_WAITING = 256
_MOST_MALFORMED = 100
"""So many lines in a row that cannot be read: it is another kind of program."""


class CommandRecogniser:
    """A Recogniser. Raises SpeechUnavailable where the program does not start."""

    def __init__(self, command: str, language: str) -> None:
        self._said: queue.Queue[Phrase] = queue.Queue(_MOST_WAITING)
        self._problem = ""
        self._is_warned = False
        try:
            words = [word.replace("{language}", language) for word in shlex.split(command)]
            self._process = subprocess.Popen(
                words,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                bufsize=0,
                preexec_fn=_die_with_parent,  # noqa: PLW1509 -- one call of the kernel
            )
        except (OSError, ValueError, IndexError) as error:
            raise SpeechUnavailable(
                f"The command that recognises speech does not start: {error}. Correct"
                " UMBEL_CAPTIONS_COMMAND."
            ) from error
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._input: IO[bytes] = self._process.stdin
        self._reading = threading.Thread(
            target=self._read, args=(self._process.stdout,), daemon=True
        )
        self._reading.start()

    @property
    def pid(self) -> int:
        """The program's process id."""
        return self._process.pid

    def feed(self, pcm: bytes) -> Sequence[Phrase]:
        try:
            left = memoryview(pcm)
            while left:
                left = left[self._input.write(left) :]
        except (OSError, ValueError) as error:
            self._reading.join(_END_S)  # it may know why
            raise SpeechFailed(self._problem or f"The command ended: {error}.") from error
        if self._problem:
            raise SpeechFailed(self._problem)
        return self._take()

    def finish(self) -> Sequence[Phrase]:
        with suppress(OSError):
            self._input.close()
        self._reading.join(_END_S)
        if self._problem:
            raise SpeechFailed(self._problem)
        return self._take()

    def close(self) -> None:
        with suppress(OSError):
            self._input.close()
        self._process.kill()
        self._process.wait()
        self._reading.join(_END_S)
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _take(self) -> list[Phrase]:
        said: list[Phrase] = []
        with suppress(queue.Empty):
            while True:
                said.append(self._said.get_nowait())
        return said

    def _read(self, output: IO[bytes]) -> None:
        malformed, rest = 0, b""
        with suppress(OSError, ValueError):
            while data := output.read(LONGEST_LINE):
                *lines, rest = (rest + data).split(b"\n")
                for line in lines:
                    malformed = 0 if self._hear(line) else malformed + 1
                    if malformed >= _MOST_MALFORMED:
                        break  # whatever came with it
                if len(rest) > LONGEST_LINE or malformed >= _MOST_MALFORMED:
                    self._problem = "The command's output is not JSON lines with phrases."
                    self._process.kill()
                    return

    def _hear(self, line: bytes) -> bool:
        """Whether it made sense."""
        try:
            phrase = read_line(line)
        except MalformedLine as error:
            if not self._is_warned:
                log.warning("line of a recogniser left out: %s", error.message)
            self._is_warned = True
            return False
        if phrase is not None:
            # A program that talks faster than sound comes is not listened to all the time.
            with suppress(queue.Full):
                self._said.put_nowait(phrase)
        return True


def _die_with_parent() -> None:
    prctl.die_with_parent(signal.SIGKILL)
