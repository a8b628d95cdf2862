"""Attends one guest: sees it become ready, answer its health checks, and end.

In: what its hypervisor or cloud, and the guest itself, say. Out: one call for each change. The
guest of a function that ended is switched off, and the reason is kept with it.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

import structlog

from umbel.compute import probe
from umbel.compute.health import Limits, Pulse, after_probe, is_lost
from umbel.compute.model import HealthCheck, Readiness
from umbel.kit.clock import Clock
from umbel.kit.errors import UmbelError
from umbel.kit.starting import Activity

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Report:
    """What is said inside a guest: how its function ended, and the ports that it listens on, None
    before it has said it. `is_answering`: the guest says anything at all."""

    is_answering: bool = False
    ended: str = ""
    ports: Mapping[str, int] | None = None


class AttendedGuest(Protocol):
    """A guest's record."""

    @property
    def id(self) -> str: ...
    @property
    def address(self) -> str: ...
    @property
    def ports(self) -> Mapping[str, int]: ...
    @property
    def readiness(self) -> Readiness: ...
    @property
    def health(self) -> HealthCheck | None: ...
    @property
    def is_ready(self) -> bool: ...


class GuestLink(Protocol):
    """Where the guest is. All raise UmbelError."""

    async def is_on(self, function_id: str) -> bool | None:
        """Whether the guest runs, and is not held; None where it is off or gone."""

    async def report(self, function_id: str) -> Report:
        """What is said inside the guest."""

    async def keep_ready(self, function_id: str, ports: Mapping[str, int]) -> None:
        """Note that the function is ready, and on which ports."""

    async def give_up(self, function_id: str, reason: str) -> None:
        """Switch the guest off, and keep why."""


class GuestPatience(Protocol):
    """How patient attending is. A guest that is not ready is looked at each `look_every_s`, and
    given up after `boot_s`."""

    @property
    def health(self) -> Limits: ...
    @property
    def look_every_s(self) -> float: ...
    @property
    def boot_s(self) -> float: ...


@dataclass(frozen=True, kw_only=True)
class Guarded:
    """What attending needs."""

    link: GuestLink
    limits: GuestPatience
    clock: Clock


class Attendant:
    """Attends a guest until it is off or gone. `wake` has it look at once."""

    def __init__(
        self, within: Guarded, guest: AttendedGuest, on_change: Callable[[str], None]
    ) -> None:
        self.function_id = guest.id
        self._link, self._limits, self._clock = within.link, within.limits, within.clock
        self._guest = guest
        self._on_change = on_change
        self._is_ready = guest.is_ready
        self._began_s = within.clock.monotonic_s()
        self._pulse = Pulse()
        self._problem = ""
        self._woken = asyncio.Event()
        self._task = asyncio.create_task(self._attend(), name=f"attend:{guest.id}")

    @property
    def is_done(self) -> bool:
        """Whether the guest was seen to be off."""
        return self._task.done()

    def wake(self) -> None:
        """Look at once: its hypervisor reported a change."""
        self._woken.set()

    async def close(self) -> None:
        """Attend it no more. It goes on."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _attend(self) -> None:
        while True:
            self._woken.clear()
            try:
                is_over = await self._look()
            except UmbelError as error:
                self._report(str(error))
                is_over = False
            else:
                self._problem = ""
            if is_over:
                self._on_change(self.function_id)
                return
            pause_s = self._limits.look_every_s
            if self._is_ready:
                pause_s = self._limits.health.probe_every_s
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._woken.wait()

    def _report(self, problem: str) -> None:
        if problem != self._problem:
            log.warning("guest not seen", id=self.function_id, reason=problem)
        self._problem = problem

    async def _look(self) -> bool:
        """Whether the guest is off, or was switched off."""
        is_on = await self._link.is_on(self.function_id)
        if is_on is None:
            return True
        if not is_on:
            self._pulse = Pulse()
            return False
        reason = await (self._probed() if self._is_ready else self._awaited())
        if reason:
            log.warning("function given up", id=self.function_id, reason=reason)
            await self._link.give_up(self.function_id, reason)
        return bool(reason)

    async def _awaited(self) -> str:
        """Why one that is not ready yet is given up; or empty, and it may be ready now."""
        report = await self._link.report(self.function_id)
        if report.ended:
            return report.ended
        ports = await self._ready_ports(report)
        if ports is not None:
            await self._link.keep_ready(self.function_id, ports)
            self._is_ready = True
            self._on_change(self.function_id)
        elif self._clock.monotonic_s() - self._began_s > self._limits.boot_s:
            return f"not ready within {self._limits.boot_s:g} s"
        return ""

    async def _ready_ports(self, report: Report) -> Mapping[str, int] | None:
        """The ports of a function that is ready; None of one that is not."""
        guest = self._guest
        if guest.readiness is Readiness.REPORTED:
            needed = guest.health.port if guest.health else None
            has_all = report.ports is not None and (needed is None or needed in report.ports)
            return report.ports if has_all else None
        is_ready = report.is_answering if guest.health is None else await self._answers(guest.ports)
        return guest.ports if is_ready else None

    async def _probed(self) -> str:
        """Why a function that was ready is given up; or empty."""
        report = await self._link.report(self.function_id)
        if report.ended:
            return report.ended
        if self._guest.health is None:
            return ""
        began_s = self._clock.monotonic_s()
        answered = await self._answers(report.ports or self._guest.ports)
        took_s = self._clock.monotonic_s() - began_s
        limits = self._limits.health
        self._pulse = after_probe(
            self._pulse, answered=answered, took_s=took_s, spent=Activity(), limits=limits
        )
        if is_lost(self._pulse, limits):
            return f"{self._pulse.misses} health probes in a row missed"
        return ""

    async def _answers(self, ports: Mapping[str, int]) -> bool:
        check = self._guest.health
        if check is None:
            return True
        port, deadline_s = ports.get(check.port, 0), self._limits.health.probe_deadline_s
        return await probe.answers(self._guest.address, port, check.path, deadline_s)
