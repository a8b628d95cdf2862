"""Kills a process of a kind, and sees when its successor works. Pids come from the platform's own
records and from /proc."""

import asyncio
import json
import os
import signal
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from support.platform import Platform
from support.storm.encoder import Encoder
from support.storm.plan import Kind

LOOK_S = 0.02
_WORKER = "umbel-worker"
_FUNCTIONS = {Kind.ACQUIRER: "acquirer-", Kind.FORWARDER: "forwarder-", Kind.EDGE: "edge-"}


class Victims:
    """What can be killed on a platform. The control plane is started again at once, as systemd
    would; functions and workers are the platform's to start, the encoder is `Encoder`'s."""

    def __init__(self, made: Platform, encoder: Encoder) -> None:
        self._made = made
        self._encoder = encoder
        self._starting: asyncio.Task[None] | None = None

    def alive(self, kind: Kind) -> dict[str, int]:
        """The processes of the kind that work now, by name."""
        found = self._pids(kind)
        return {name: found[name] for name in sorted(found) if found[name]}

    def kill(self, pid: int) -> None:
        """kill -9."""
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        if pid == self._made.serve.process.pid:
            self._starting = asyncio.create_task(self._restart(), name="control plane")

    async def back(self, kind: Kind, name: str, pid: int) -> float:
        """Wait until another process of that name works, or the platform has found another way and
        wants none; the result is how many seconds it took."""
        began_s = time.monotonic()
        while self._is_wanted(kind, name) and self._pids(kind).get(name, 0) in {0, pid}:
            await asyncio.sleep(LOOK_S)
        return time.monotonic() - began_s

    def _is_wanted(self, kind: Kind, name: str) -> bool:
        """A function that is not wanted any more leaves no record."""
        return kind not in _FUNCTIONS or name in self._made.records()

    async def stop(self) -> None:
        """Start nothing any more."""
        if self._starting is not None:
            await asyncio.gather(self._starting, return_exceptions=True)

    async def _restart(self) -> None:
        await self._made.serve.process.wait()
        await self._made.restart()

    def _pids(self, kind: Kind) -> dict[str, int]:
        if kind is Kind.CONTROL_PLANE:
            is_starting = self._starting is not None and not self._starting.done()
            return {kind.value: 0 if is_starting else self._made.serve.process.pid}
        if kind is Kind.ENCODER:
            return {kind.value: self._encoder.pid}
        functions = {
            name: record["pid"] if _lives(record["pid"]) and self._is_ready(name, record) else 0
            for name, record in self._made.records().items()
        }
        if kind is Kind.WORKER:
            acquirers = {pid for name, pid in functions.items() if name.startswith("acquirer-")}
            return {kind.value: _working_child(acquirers - {0})}
        return {n: pid for n, pid in functions.items() if n.startswith(_FUNCTIONS[kind])}

    def _is_ready(self, name: str, record: Mapping[str, Any]) -> bool:
        """Whether this process of the function has reported that it listens."""
        with suppress(FileNotFoundError, json.JSONDecodeError):
            report = json.loads((self._made.folder / "ready" / f"{name}.json").read_text())
            return bool(report["pid"] == record["pid"])
        return False


def _lives(pid: int) -> bool:
    """Whether the process has not ended, also where nobody has collected it yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def _working_child(parents: set[int]) -> int:
    """A media worker that one of them has put to work, 0 for none."""
    for parent in parents:
        with suppress(OSError):
            children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
            for child in children:
                if Path(f"/proc/{child}/comm").read_text().strip() == _WORKER:
                    return int(child)
    return 0
