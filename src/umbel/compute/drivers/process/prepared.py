"""Keeps a process prepared that can become a function, so that a lost one is replaced at once.

In: the words that a function is started with. Out: a process that has imported everything and
becomes it. A line on its stdin says which; it ends when its stdin does.
"""

import asyncio
import json
import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import structlog

from umbel.compute.drivers.process import launch

log = structlog.get_logger(__name__)

_KEEP_AFTER_S = 1.0
"""A function that has just become ready is not disturbed by the next process's imports."""
_WORDS_ROOM, _ENVIRONMENT_ROOM = 4096, 32_768
_ROOM = "UMBEL_ROOM"


@dataclass(frozen=True, kw_only=True)
class Preparation:
    """`command` starts a process that can become each function whose words begin with `words`."""

    words: tuple[str, ...]
    command: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class _Waiting:
    """A process that waits for its order on `stdin`."""

    pid: int
    pidfd: int
    stdin: int


class PreparedProcess:
    """At most one. Without a preparation it prepares nothing. All calls on one event loop."""

    def __init__(self, preparation: Preparation | None, log_path: Path) -> None:
        self._preparation = preparation
        self._log_path = log_path
        self._waiting: _Waiting | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def pid(self) -> int:
        """The process that waits; 0 for none."""
        return self._waiting.pid if self._waiting else 0

    def keep(self) -> None:
        """Have one soon, unless there is one."""
        if self._preparation is not None and self._waiting is None and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_KEEP_AFTER_S, self._prepare)

    def become(
        self, name: str, words: Sequence[str], environment: Mapping[str, str], log_path: Path
    ) -> int:
        """The pid of the process that is this function from now on; 0 where none can be."""
        begin = len(self._preparation.words) if self._preparation else 0
        if self._preparation is None or tuple(words[:begin]) != self._preparation.words:
            return 0
        order = {
            **{"name": name, "words": list(words), "begin": begin},
            **{"environment": dict(environment), "log": str(log_path)},
        }
        line = json.dumps(order).encode() + b"\n"
        if self._waiting is None or len(line) > _ENVIRONMENT_ROOM or len(str(words)) > _WORDS_ROOM:
            return 0
        launch.bound_log(log_path)
        waiting = self._waiting
        try:
            os.write(waiting.stdin, line)
        except OSError:  # it has just ended
            return 0
        self._waiting = None
        asyncio.get_running_loop().remove_reader(waiting.pidfd)
        os.close(waiting.pidfd)
        os.close(waiting.stdin)
        return waiting.pid

    def close(self) -> None:
        """End the one that waits."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._waiting is not None:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._waiting.pidfd, signal.SIGKILL)
            self._forget()

    def _prepare(self) -> None:
        self._timer = None
        preparation = self._preparation
        if preparation is None:
            return
        theirs, ours = os.pipe()
        try:
            environment = launch.without_ours(os.environ) | {_ROOM: " " * _ENVIRONMENT_ROOM}
            words = [*preparation.command, " " * _WORDS_ROOM]
            pid = launch.start(words, environment, self._log_path, stdin=theirs)
            self._waiting = _Waiting(pid=pid, pidfd=os.pidfd_open(pid), stdin=ours)
        except OSError as error:
            os.close(ours)
            log.warning("no function prepared", reason=error.strerror)
            return
        finally:
            os.close(theirs)
        asyncio.get_running_loop().add_reader(self._waiting.pidfd, self._forget)

    def _forget(self) -> None:
        """It ends or has ended: wait for that, and take it off the kernel's list."""
        waiting, self._waiting = self._waiting, None
        if waiting is None:
            return
        asyncio.get_running_loop().remove_reader(waiting.pidfd)
        os.close(waiting.stdin)
        with suppress(ChildProcessError):
            os.waitid(os.P_PIDFD, waiting.pidfd, os.WEXITED)
        os.close(waiting.pidfd)
