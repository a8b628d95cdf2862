"""Plays a plan on virtual time and watches the invariants: faults, then rest, then the verdict.

In: a seed. Out: an Outcome. Everything happens on one thread with a clock that jumps, no file is
written and nothing waits, so that a seed tells the same story every time.
"""

import asyncio
import hashlib
import selectors
from array import array
from collections import deque
from collections.abc import Iterable, Mapping, MutableMapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from heapq import heappop
from random import Random
from typing import Any, cast

import structlog

from support.chaos import checkers
from support.chaos.plan import MOST_STEPS, Plan, plan
from support.chaos.snapshot import Snapshot
from support.chaos.steps import Steps
from support.chaos.world import World
from umbel.kit import ids

LOOK_S = 1.0
REST_WITHIN_S = 150.0
REST_LOOKS = 2


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of a seed: `broken` are (invariant, what) pairs, none when all held; `trace` is
    a hash over every call; `rested_s` how long after the last fault all was as wanted."""

    seed: int
    steps: int
    broken: tuple[tuple[str, str], ...]
    story: tuple[str, ...]
    trace: str
    rested_s: float = 0.0

    @property
    def replay(self) -> str:
        """The command that plays it again."""
        steps = f" STEPS={self.steps}" if self.steps < MOST_STEPS else ""
        return f"make chaos SEED={self.seed}{steps}"

    def report(self) -> str:
        """For people: the story, what broke, and how to see it again."""
        verdict = [f"  {name}: {what}" for name, what in self.broken]
        return "\n".join([*self.story, "broken:", *verdict, f"replay: {self.replay}"])


def run(seed: int, most_steps: int = MOST_STEPS) -> Outcome:
    """Play a seed, or its first steps."""
    with asyncio.Runner(loop_factory=_Loop) as runner, _Quiet() as crashes:
        return runner.run(_Run(plan(seed, most_steps), crashes).play())


def shrink(outcome: Outcome) -> Outcome:
    """The shortest beginning of a failed run that fails in the same invariants."""
    names = {name for name, _ in outcome.broken}
    for steps in range(1, outcome.steps):
        shorter = run(outcome.seed, steps)
        if names & {name for name, _ in shorter.broken}:
            return shorter
    return outcome


def report_of_first(seeds: Iterable[int]) -> str:
    """What broke in the first of these seeds in which something did; empty when nothing did."""
    for seed in seeds:
        outcome = run(seed)
        if outcome.broken:
            return "\n" + shrink(outcome).report()
    return ""


@dataclass
class _Run:
    plan: Plan
    crashes: list[str]
    story: list[str] = field(default_factory=list)
    _calls: list[str] = field(default_factory=list)
    _times: list[float] = field(default_factory=list)

    async def play(self) -> Outcome:
        """The whole run."""
        p = self.plan
        self._loop = cast(_Loop, asyncio.get_running_loop())
        with ids.drawn_from(Random(f"{p.seed}/ids")):
            self.world = World(seed=p.seed, policy=p.policy, copies=p.copies, crashes=self.crashes)
            self.world.note, self.world.record = self.note, self._record
            self.checkers = checkers.every()
            steps = Steps(self.world, p)
            self.note(f"seed {p.seed}: policy {p.policy}, {len(p.skews_s)} control plane(s)")
            await steps.begin()
            broken, rested_s = await self._watch(steps)
            await steps.close()
        return Outcome(
            seed=p.seed,
            steps=len(p.steps),
            broken=tuple(broken),
            story=tuple(self.story),
            trace=self._trace(),
            rested_s=rested_s,
        )

    async def _watch(self, steps: Steps) -> tuple[list[tuple[str, str]], float]:
        playing = asyncio.create_task(steps.play())
        while not playing.done():
            if broken := await self._broken():
                playing.cancel()
                return broken, 0.0
            await asyncio.sleep(LOOK_S)
        await playing
        return await self._until_rest()

    async def _until_rest(self) -> tuple[list[tuple[str, str]], float]:
        """Faults are over: all must become as wanted, and stay so for a while."""
        self.note("the faults are over")
        loop = asyncio.get_running_loop()
        began_s, good, missing = loop.time(), 0, [("", "")]
        while loop.time() - began_s < REST_WITHIN_S:
            seen = await self.world.snapshot()
            if broken := self._now(seen):
                return broken, 0.0
            missing = [(c.name, what) for c in self.checkers for what in c.at_rest(seen)]
            good = 0 if missing else good + 1
            if good == REST_LOOKS:
                return [], loop.time() - began_s - REST_LOOKS * LOOK_S
            await asyncio.sleep(LOOK_S)
        return [(n, f"still after {REST_WITHIN_S:.0f} s: {what}") for n, what in missing], 0.0

    async def _broken(self) -> list[tuple[str, str]]:
        return self._now(await self.world.snapshot())

    def _now(self, seen: Snapshot) -> list[tuple[str, str]]:
        return [(c.name, what) for c in self.checkers for what in c.now(seen)]

    def note(self, text: str) -> None:
        """A line of the story."""
        self.story.append(f"{self._loop.now_s:8.2f} s  {text}")
        self._record(text)

    def _record(self, what: str) -> None:
        self._calls.append(what)
        self._times.append(self._loop.now_s)

    def _trace(self) -> str:
        """A hash over every call and its time."""
        hashed = hashlib.sha256("\n".join(self._calls).encode())
        hashed.update(array("d", self._times).tobytes())
        return hashed.hexdigest()


class _Loop(asyncio.SelectorEventLoop):
    """An event loop on which nothing real is waited for: its clock jumps to the next timer."""

    _ready: deque[asyncio.Handle]
    _scheduled: list[asyncio.TimerHandle]

    def __init__(self) -> None:
        self.now_s = 1_000.0
        super().__init__(_Nothing())

    def time(self) -> float:
        return self.now_s

    def _run_once(self) -> None:
        """As asyncio's own, without what sockets and real time need: it takes half of the time."""
        ready, scheduled = self._ready, self._scheduled
        while scheduled and scheduled[0]._cancelled:
            heappop(scheduled)
        if not ready:
            if not scheduled:
                raise AssertionError("everybody waits for somebody else")
            self.now_s = max(self.now_s, scheduled[0].when())
        end_s = self.now_s + 1e-9
        while scheduled and scheduled[0].when() < end_s:
            ready.append(heappop(scheduled))
        for _ in range(len(ready)):
            handle = ready.popleft()
            if not handle._cancelled:
                handle._run()


class _Nothing(selectors.SelectSelector):
    """No file is waited for."""

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        return []


class _Quiet(AbstractContextManager[list[str]]):
    """The log says nothing meanwhile; errors in it are gathered, as nobody expects them."""

    def __enter__(self) -> list[str]:
        self._before = structlog.get_config()
        crashes: list[str] = []

        def gather(_: object, __: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
            crashes.append(f"{event.pop('event')} {event}")
            raise structlog.DropEvent

        structlog.configure(
            processors=[structlog.processors.format_exc_info, gather],
            wrapper_class=structlog.make_filtering_bound_logger("error"),
            logger_factory=structlog.PrintLoggerFactory(),
        )
        return crashes

    def __exit__(self, *_: object) -> None:
        structlog.configure(**self._before)
