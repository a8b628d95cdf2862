"""The steps of a plan, done: each kind is one method, looked up in a table.

In: a World and a Plan. Out: what befalls it, noted. A step that lasts is undone after its time, or
when the faults are over, whichever is first.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from random import Random
from typing import TypeVar

from support.chaos.people import Event, Viewer
from support.chaos.plan import FAULTS_S, Plan, Step
from support.chaos.platform import ControlPlane
from support.chaos.world import ACCESS, CORES, LINKS, PARTS, World

T = TypeVar("T")
ROLES = ("acquirer", "forwarder", "forwarder", "transcoder", "edge", "edge", "edge")


class Steps:
    """Does the steps of a plan to a world."""

    def __init__(self, world: World, plan: Plan) -> None:
        self._world = world
        self._plan = plan
        self._events: list[Event] = []
        self._viewers: list[Viewer] = []
        self._people: list[asyncio.Task[None]] = []
        self._over = asyncio.Event()
        self._starts = 0
        self._links: set[tuple[str, str]] = set()
        self._do: dict[str, Callable[[Step], Coroutine[None, None, None]]] = {
            "event": self._event,
            "viewers": self._watch,
            "leave": self._leave,
            "end": self._end,
            "silence": self._silence,
            "kill": self._kill,
            "hang": self._hang,
            "node lost": self._lose_node,
            "rest": self._rest,
            "slow": self._slow,
            "lost answers": self._lose_answers,
            "unreliable notifications": self._disturb_notifications,
            "outage": self._outage,
            "partition": self._partition,
            "link lost": self._lose_link,
            "control plane killed": self._kill_plane,
            "control plane restarted": self._restart_plane,
            "control plane paused": self._pause_plane,
        }

    async def begin(self) -> None:
        """Start the control planes."""
        for slot, _ in zip("AB", self._plan.skews_s, strict=False):
            self._start(slot)

    async def play(self) -> None:
        """Do every step at its time, and undo all at the end."""
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        doing: list[asyncio.Task[None]] = []
        for step in self._plan.steps:
            await asyncio.sleep(max(0.0, began_s + step.at_s - loop.time()))
            doing.append(asyncio.create_task(self._do[step.kind](step)))
        await asyncio.sleep(max(0.0, began_s + FAULTS_S - loop.time()))
        self._over.set()
        await asyncio.gather(*doing)

    async def close(self) -> None:
        """Everybody goes."""
        for task in self._people:
            task.cancel()
        await asyncio.gather(*self._people, return_exceptions=True)
        for plane in list(self._world.planes.values()):
            await plane.kill()

    # people

    async def _event(self, step: Step) -> None:
        node = _pick(ACCESS, step.pick)
        event = Event(
            world=self._world,
            random=self._random(step),
            node=node,
            name=f"event {len(self._events) + 1}",
        )
        self._events.append(event)
        starts_in_s, lasts_s = 2.0 * (step.number > 2) * step.pick, 8.0 + 120.0 * step.size
        self._people.append(asyncio.create_task(event.run(starts_in_s, lasts_s)))

    async def _watch(self, step: Step) -> None:
        events = [e for e in self._events if not e.is_over]
        if not events:
            return
        random, event = self._random(step), _pick(events, step.pick)
        count = 1 + int(4 * step.size)
        self._note(step, f"{count} for {event.name}")
        for _ in range(count):
            viewer = Viewer(
                world=self._world,
                random=random,
                name=f"viewer {len(self._viewers) + 1}",
                event=event,
                node=_pick(ACCESS, random.random()),
                quality=_quality(random.random()),
            )
            self._viewers.append(viewer)
            self._people.append(asyncio.create_task(viewer.run()))

    async def _leave(self, step: Step) -> None:
        here = [v for v in self._viewers if not v.leaves and not v.is_gone]
        if here:
            _pick(here, step.pick).leaves = True
            self._note(step, _pick(here, step.pick).name)

    async def _end(self, step: Step) -> None:
        events = [e for e in self._events if e.id and not e.is_over]
        if events:
            event = _pick(events, step.pick)
            self._note(step, event.name)
            self._people.append(asyncio.create_task(event.end()))

    async def _silence(self, step: Step) -> None:
        events = [e for e in self._events if e.id and not e.is_over]
        if events:
            event = _pick(events, step.pick)
            self._note(step, f"of {event.name}'s encoder for {step.for_s} s")
            event.is_silent = True
            await self._lasting(step)
            event.is_silent = False

    # functions and nodes

    async def _kill(self, step: Step) -> None:
        found = await self._world.functions(_pick(ROLES, step.size))
        if found:
            self._note(step, _pick(found, step.pick))
            await self._world.kill(_pick(found, step.pick))

    async def _hang(self, step: Step) -> None:
        """Either it answers again, or whoever watches the processes ends it."""
        found = await self._world.functions(_pick(ROLES, step.size))
        if not found:
            return
        function = _pick(found, step.pick)
        self._note(step, f"{function} for {step.for_s} s")
        self._world.hang(function)
        await self._lasting(step)
        if step.for_s > 4.0:
            await self._world.kill(function)
        else:
            self._world.wake(function)

    async def _lose_node(self, step: Step) -> None:
        node = _pick((*ACCESS, *CORES), step.pick)
        self._note(step, f"{node} for {step.for_s} s")
        await self._world.nodes.lose(node)
        await self._lasting(step)
        self._world.nodes.accept(node)

    async def _rest(self, step: Step) -> None:
        """Two nodes are to rest, as a plan would have it."""
        leaders = [p for p in self._planes() if p.leads()]
        if leaders:
            nodes = sorted({_pick((*ACCESS, *CORES), step.pick), _pick(ACCESS, step.size)})
            self._note(step, f"{' and '.join(nodes)} for {step.for_s} s")
            leaders[0].rest(nodes)
            await self._lasting(step)
            leaders[0].rest(())

    # channels

    async def _slow(self, step: Step) -> None:
        delay_s = _pick((0.1, 0.4, 1.2), step.size)
        slot, part = self._channel(step)
        self._note(step, f"{slot} to {part}, up to {delay_s} s, for {step.for_s} s")
        impairment = self._world.impairments[slot, part]
        impairment.slow, impairment.delay_s = 0.4, delay_s
        await self._lasting(step)
        impairment.slow, impairment.delay_s = 0.1, 0.02

    async def _lose_answers(self, step: Step) -> None:
        slot, part = self._channel(step)
        share = _pick((0.1, 0.3, 0.6), step.size)
        self._note(step, f"{slot} to {part}, {share:.0%}, for {step.for_s} s")
        impairment = self._world.impairments[slot, part]
        impairment.lost, impairment.after = share, 0.5
        await self._lasting(step)
        impairment.lost = 0.0

    async def _outage(self, step: Step) -> None:
        """The database fails before a unit, or after its commit, for one or for all."""
        slots = _pick((("A",), ("A", "B")), step.pick)
        after = _pick((0.0, 0.5, 1.0), step.size)
        self._note(
            step,
            f"of the database for {', '.join(slots)}, {after:.0%} after commit, for {step.for_s} s",
        )
        hit = [
            w
            for (slot, part), w in self._world.impairments.items()
            if part == "database" and slot in slots
        ]
        for impairment in hit:
            impairment.lost, impairment.after = 1.0, after
        await self._lasting(step)
        for impairment in hit:
            impairment.lost = 0.0

    async def _partition(self, step: Step) -> None:
        """Control planes do not reach a node; others may, and what runs there goes on."""
        node = _pick((*ACCESS, *CORES), step.size)
        slots = _pick(("A", "B", "AB"), step.pick)
        self._note(step, f"between {' and '.join(slots)} and {node} for {step.for_s} s")
        cuts = [(slot, node) for slot in slots]
        self._world.cuts.update(cuts)
        await self._lasting(step)
        self._world.cuts.subtract(cuts)

    async def _lose_link(self, step: Step) -> None:
        """A link of the network fails: what it alone connects is cut off."""
        a, b = _pick(LINKS, step.pick)
        if (a, b) in self._links:
            return
        self._note(step, f"{a} to {b} for {step.for_s} s")
        self._links.add((a, b))
        self._world.fabric.lose(a, b)
        await self._lasting(step)
        self._world.fabric.restore(a, b)
        self._links.remove((a, b))

    async def _disturb_notifications(self, step: Step) -> None:
        self._note(step, f"for {step.for_s} s")
        for plane in self._planes():
            for watch in (plane.function_notifications, plane.stream_notifications):
                watch.twice, watch.late_s, watch.never = 0.3, 3.0 * step.size, 0.3 * step.pick
        await self._lasting(step)
        for plane in self._planes():
            for watch in (plane.function_notifications, plane.stream_notifications):
                watch.twice, watch.late_s, watch.never = 0.0, 0.0, 0.0

    # control planes

    async def _kill_plane(self, step: Step) -> None:
        await self._replace(step, ControlPlane.kill)

    async def _restart_plane(self, step: Step) -> None:
        await self._replace(step, ControlPlane.stop)

    async def _replace(self, step: Step, end: Callable[[ControlPlane], Awaitable[None]]) -> None:
        planes = self._planes()
        if planes:
            plane = _pick(planes, step.pick)
            self._note(step, f"{plane.name}, another comes after {step.for_s} s")
            await end(plane)
            await self._lasting(step)
            self._start(plane.name[0])

    async def _pause_plane(self, step: Step) -> None:
        planes = [p for p in self._planes() if not p.process.is_paused]
        if planes:
            plane = _pick(planes, step.pick)
            self._note(step, f"{plane.name} for {step.for_s} s")
            plane.process.pause()
            await self._lasting(step)
            plane.process.resume()

    # inside

    def _start(self, slot: str) -> None:
        self._starts += 1
        skew_s = self._plan.skews_s["AB".index(slot)]
        plane = ControlPlane(world=self._world, name=f"{slot}{self._starts}", skew_s=skew_s)
        self._world.planes[plane.name] = plane
        plane.start()

    def _planes(self) -> list[ControlPlane]:
        return [self._world.planes[name] for name in sorted(self._world.planes)]

    def _channel(self, step: Step) -> tuple[str, str]:
        return _pick("AB"[: len(self._plan.skews_s)], step.pick), _pick(PARTS, step.size)

    def _random(self, step: Step) -> Random:
        return self._world.random(f"step {step.number}")

    def _note(self, step: Step, what: str) -> None:
        self._world.note(f"{step.number:2}. {step.kind}: {what}")

    async def _lasting(self, step: Step) -> None:
        try:
            async with asyncio.timeout(step.for_s):
                await self._over.wait()
        except TimeoutError:
            return


def _pick(among: Sequence[T], share: float) -> T:
    return among[int(share * len(among))]


def _quality(random: float) -> str:
    """A fifth watches a smaller picture, a tenth VP8."""
    return "360p" if random < 0.2 else "vp8" if random < 0.3 else "source"
