"""One living function process: what is known of it, and the few things done to it by pidfd.

A pidfd names one process for ever: no signal through it can reach a successor of the pid.
"""

import asyncio
import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from umbel.compute.drivers.process import procfs
from umbel.compute.drivers.process.records import Record
from umbel.compute.model import FunctionState, Instance


@dataclass(kw_only=True, eq=False)
class Guard:
    """`ports` is None while it boots; `reason` is set once it is given up and only its end is
    awaited; `is_ending` while we stop it because it is not wanted any more."""

    record: Record
    pidfd: int
    ports: Mapping[str, int] | None = None
    reason: str = ""
    is_ending: bool = False
    task: asyncio.Task[None] | None = None
    usage: procfs.Usage = field(default_factory=procfs.Usage)
    _exited: asyncio.Event = field(default_factory=asyncio.Event)
    _ticks: Mapping[tuple[int, int], int] = field(default_factory=dict)
    _sampled_s: float | None = None

    @property
    def state(self) -> FunctionState:
        """Where the function is in its life."""
        if self.reason:
            return FunctionState.FAILED
        return FunctionState.BOOTING if self.ports is None else FunctionState.ACTIVE

    def instance(self) -> Instance:
        """The function as observed."""
        return Instance(
            id=self.record.id,
            owner=self.record.owner,
            description=self.record.description,
            node=self.record.node,
            state=self.state,
            address=self.record.address,
            ports=self.ports if self.ports and not self.reason else {},
            started_s=self.record.started_s,
            cpu_cores=self.usage.cpu_cores,
            rss_mb=self.usage.rss_mb,
            reason=self.reason,
        )

    @property
    def is_released(self) -> bool:
        """Whether nobody watches any more, and the descriptor is closed."""
        return self._exited.is_set()

    def is_there(self) -> bool:
        """Whether the process lives, by /proc and not by memory."""
        process = procfs.read(self.record.pid)
        return process is not None and process.alive and process.key == self._key

    def ask_to_end(self) -> None:
        """SIGTERM to the process."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL to the process and to every worker it started; nothing once it is released."""
        if self.is_released:
            return
        processes = procfs.families(procfs.scan(), {self.record.pid})[self.record.pid]
        self._signal(signal.SIGKILL)
        for process in processes:
            if process.key != self._key:
                procfs.kill_exactly(process)

    async def exits_within(self, within_s: float) -> bool:
        """Whether the process's end is seen within so many seconds."""
        try:
            async with asyncio.timeout(within_s):
                await self._exited.wait()
        except TimeoutError:
            return False
        return True

    def reap(self) -> str:
        """How the process ended. A child of ours is taken off the kernel's list; of one that a
        dead predecessor started only the kernel's init learns more."""
        if self.is_released:
            return "ended"
        try:
            end = os.waitid(os.P_PIDFD, self.pidfd, os.WEXITED | os.WNOHANG)
        except ChildProcessError:
            return "ended"
        if end is None:
            return "ended"
        if end.si_code == os.CLD_EXITED:
            return f"exited with status {end.si_status}"
        return f"killed by signal {end.si_status}"

    def release(self) -> None:
        """Stop watching; those who wait for the end are let go. From here on the descriptor's
        number may be another file's, or another process's pidfd: it is not used again."""
        if self.is_released:
            return
        asyncio.get_running_loop().remove_reader(self.pidfd)
        os.close(self.pidfd)
        self._exited.set()

    def sample(self, family: Sequence[procfs.Process], now_s: float) -> None:
        """Take the function's processes as they are now for the load since the last sample."""
        elapsed_s = 0.0 if self._sampled_s is None else now_s - self._sampled_s
        self.usage = procfs.usage(self._ticks, family, elapsed_s)
        self._ticks = {process.key: process.cpu_ticks for process in family}
        self._sampled_s = now_s

    @property
    def _key(self) -> tuple[int, int]:
        return self.record.pid, self.record.start_ticks

    def _signal(self, number: signal.Signals) -> None:
        if self.is_released:
            return
        try:
            signal.pidfd_send_signal(self.pidfd, number)
        except ProcessLookupError:
            pass  # it ended by itself; the pidfd tells the loop
