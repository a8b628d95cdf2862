"""The invariants of the control plane, each a small class with a name and a sentence. Pure.

In: a Snapshot each second. Out: what is wrong `now`, whatever befalls the platform, and what is not
yet as wanted `at_rest`, which must become nothing soon after the last fault.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Protocol

from support.chaos.snapshot import Branch, Carried, Snapshot


class Checker(Protocol):
    """One invariant; its docstring is the sentence."""

    name: str

    def now(self, seen: Snapshot) -> Iterator[str]:
        """What breaks it at this moment."""

    def at_rest(self, seen: Snapshot) -> Iterator[str]:
        """What is still missing when nothing disturbs the platform any more."""


class OneOwner:
    """One control plane at a time acts for a stream, and one for the fleet of functions."""

    name = "one owner"

    def now(self, seen: Snapshot) -> Iterator[str]:
        for lease, planes in seen.owners.items():
            if len(planes) > 1:
                yield f"{' and '.join(planes)} both own {lease}"
        yield from seen.violations

    def at_rest(self, seen: Snapshot) -> Iterator[str]:
        needed = ["fleet", *seen.trees]
        yield from (f"nobody owns {lease}" for lease in needed if lease not in seen.owners)


class NoStrayViewer:
    """A viewer's session is at a function that carries its stream, or ends within a bound."""

    name = "no stray viewer"
    bound_s = 45.0

    def __init__(self) -> None:
        self._since_s: dict[str, float] = {}

    def now(self, seen: Snapshot) -> Iterator[str]:
        stray = dict(self._stray(seen))
        self._since_s = {id_: self._since_s.get(id_, seen.now_s) for id_ in stray}
        for id_, since_s in self._since_s.items():
            if seen.now_s - since_s > self.bound_s:
                yield f"{stray[id_]} for {seen.now_s - since_s:.0f} s"

    def at_rest(self, seen: Snapshot) -> Iterator[str]:
        yield from (what for _, what in self._stray(seen))

    @staticmethod
    def _stray(seen: Snapshot) -> Iterator[tuple[str, str]]:
        for session in seen.sessions.values():
            carried = seen.carried.get(session.function, {}).get(session.stream)
            if carried is None or carried.role != "edge":
                yield session.id, f"{session.id} is at {session.function}, without {session.stream}"


class NoDouble:
    """No function runs twice."""

    name = "no double function"

    def now(self, seen: Snapshot) -> Iterator[str]:
        count = Counter(p.function for p in seen.processes if p.is_alive)
        yield from (f"{function} runs {n} times" for function, n in count.items() if n > 1)

    def at_rest(self, seen: Snapshot) -> Iterator[str]:
        yield from self.now(seen)


class NoOverload:
    """What is promised on a node never exceeds what the node has."""

    name = "no overload"

    def now(self, seen: Snapshot) -> Iterator[str]:
        for node, room in seen.rooms.items():
            here = self._functions(seen, node)
            at = [s for s in seen.sessions.values() if s.node == node]
            cores = sum(seen.costs[role].cores for role in here.values())
            cores += len(at) * seen.viewer_cores
            memory_mb = sum(seen.costs[role].memory_mb for role in here.values())
            mbps = sum(seen.mbps.get(s.stream, 0.0) for s in at)
            for what, used, most in (
                ("cores", cores, room.cores),
                ("MiB", memory_mb, room.memory_mb),
                ("Mbit/s", mbps, room.mbps),
            ):
                if used > most + 1e-6:
                    yield f"{node} has {most:g} {what}, and {used:g} are promised"

    def at_rest(self, seen: Snapshot) -> Iterator[str]:
        yield from self.now(seen)

    @staticmethod
    def _functions(seen: Snapshot, node: str) -> Mapping[str, str]:
        return {b.function: b.role for tree in seen.trees.values() for b in tree if b.node == node}


class NothingOfTheEnded:
    """Nothing of an ended event stays: no tree, no function, no stream, no session."""

    name = "nothing of the ended"

    def now(self, seen: Snapshot) -> Iterator[str]:
        for event in sorted(seen.over):
            if seen.events.get(event) not in ("ended", "cancelled"):
                yield f"the end of {event} was acknowledged, and it is {seen.events.get(event)}"

    def at_rest(self, seen: Snapshot) -> Iterator[str]:
        for event, ends_s in seen.ends_s.items():
            if ends_s < seen.now_s - 2 and not seen.is_over(event):
                yield f"the time of {event} is over, and it is {seen.events.get(event)}"
        yield from (f"{stream} has a tree" for stream in seen.trees if seen.is_over(stream))
        yield from (f"{stream} is in the network" for stream in seen.wired if seen.is_over(stream))
        for session in seen.sessions.values():
            if seen.is_over(session.stream):
                yield f"{session.id} is a session of {session.stream}"
        for function, streams in seen.carried.items():
            yield from (f"{function} carries {s}" for s in streams if seen.is_over(s))


class NoLostAnswer:
    """What the API acknowledged is in the database afterwards, once."""

    name = "no lost answer"

    def now(self, seen: Snapshot) -> Iterator[str]:
        for held in seen.held.values():
            if held.id not in seen.sessions and not seen.is_over(held.stream):
                yield f"{held.viewer}'s session {held.id} at {held.function} is gone"
        yield from (
            f"{e} was acknowledged and is gone" for e in seen.ends_s if e not in seen.events
        )

    def at_rest(self, seen: Snapshot) -> Iterator[str]:
        for session in seen.sessions.values():
            if session.id not in seen.held:
                yield f"nobody holds {session.id} at {session.function}"


class NothingInStandby:
    """A node in standby carries nothing."""

    name = "nothing in standby"

    def now(self, seen: Snapshot) -> Iterator[str]:
        for process in seen.processes:
            if process.is_alive and process.node in seen.standby:
                yield f"{process.function} runs on {process.node}, which is in standby"

    def at_rest(self, seen: Snapshot) -> Iterator[str]:
        yield from self.now(seen)


class SoundTrees:
    """A stored tree is a tree: one function once, every parent there, no circle."""

    name = "sound trees"

    def now(self, seen: Snapshot) -> Iterator[str]:
        for stream, tree in seen.trees.items():
            parents = {b.function: b.parent for b in tree}
            if len(parents) < len(tree):
                yield f"a function stands twice in the tree of {stream}"
            for function in parents:
                above, steps = function, 0
                while above in parents and parents[above] and steps <= len(tree):
                    above, steps = parents[above], steps + 1
                if above not in parents or steps > len(tree):
                    yield f"{function} hangs in the air in the tree of {stream}"

    def at_rest(self, seen: Snapshot) -> Iterator[str]:
        for stream, tree in seen.trees.items():
            watched = {s.function for s in seen.sessions.values() if s.stream == stream}
            for branch in tree:
                if branch.role == "edge" and branch.function not in watched:
                    yield f"{branch.function} has nobody for {stream}"


class NoCrash:
    """Whatever befalls it, the code raises none but its own errors."""

    name = "no crash"

    def now(self, seen: Snapshot) -> Iterator[str]:
        yield from seen.crashes

    def at_rest(self, seen: Snapshot) -> Iterator[str]:
        yield from self.now(seen)


class AsWanted:
    """The functions that run are those of the trees; each carries and sends what its tree says."""

    name = "as wanted"

    def now(self, seen: Snapshot) -> Iterator[str]:
        yield from ()

    def at_rest(self, seen: Snapshot) -> Iterator[str]:
        wanted = {(b.function, b.node, b.role) for tree in seen.trees.values() for b in tree}
        there = {(p.function, p.node, p.role) for p in seen.processes}
        up = {(p.function, p.node, p.role) for p in seen.processes if p.is_active}
        yield from (f"{f} is wanted on {n} and does not run" for f, n, _ in sorted(wanted - up))
        yield from (f"{f} is there on {n} and is not wanted" for f, n, _ in sorted(there - wanted))
        pairs = {(b.function, s) for s, tree in seen.trees.items() for b in tree if _does(b, s)}
        carrying = {(f, s) for f, streams in seen.carried.items() for s in streams}
        yield from (f"{f} carries {s}, unwanted" for f, s in sorted(carrying - pairs))
        for stream, tree in seen.trees.items():
            for branch in tree:
                if _does(branch, stream):
                    yield from self._branch(seen, stream, tree, branch)

    def _branch(
        self, seen: Snapshot, stream: str, tree: tuple[Branch, ...], branch: Branch
    ) -> Iterator[str]:
        does = seen.carried.get(branch.function, {}).get(stream)
        if does is None or does.role != branch.role:
            yield f"{branch.function} does not carry {stream}"
            return
        targets = {_taken(seen, stream, b) for b in tree if b.parent == branch.function}
        if does.targets != targets:
            yield f"{branch.function} sends {stream} to {sorted(does.targets)}, not {targets}"


class Pictures:
    """Who holds a session gets pictures, once: every edge is fed by one function alone."""

    name = "pictures"

    def now(self, seen: Snapshot) -> Iterator[str]:
        yield from ()

    def at_rest(self, seen: Snapshot) -> Iterator[str]:
        for event in sorted(seen.pushed):
            if event not in seen.publishing and not seen.is_over(event):
                yield f"the encoder of {event} is not let in"
            elif event in seen.publishing and seen.events.get(event) == "open":
                yield f"{event} is live, and open in the calendar"
        for held in seen.held.values():
            carried = seen.carried.get(held.function, {}).get(held.stream)
            if carried is None or held.id not in carried.viewers:
                yield f"{held.viewer} is not connected at {held.function}"
            elif seen.event_of(held.stream) in seen.publishing and not _is_fed_once(
                seen, held.stream, carried
            ):
                yield f"{held.viewer} gets {carried.mbps:g} Mbit/s at {held.function}"
        yield from (f"{viewer} waits" for viewer in seen.waiting)


def _is_fed_once(seen: Snapshot, stream: str, carried: Carried) -> bool:
    return abs(carried.mbps - seen.mbps.get(stream, 0.0)) < 1e-6


def _does(branch: Branch, stream: str) -> bool:
    """Whether the branch carries the stream itself: a transcoder as a leaf of its source makes
    another one of it."""
    return branch.role != "transcoder" or not branch.parent


def _taken(seen: Snapshot, stream: str, branch: Branch) -> tuple[str, int]:
    """Where a branch takes the stream."""
    streams = seen.carried.get(branch.function, {})
    if not _does(branch, stream):
        made = [
            c for s, c in streams.items() if s.startswith(f"{stream}-") and c.role == "transcoder"
        ]
        return (made[0].address, made[0].port) if made else ("", 0)
    carried = streams.get(stream)
    return (carried.address, carried.port) if carried is not None else ("", 0)


def every() -> list[Checker]:
    """All invariants, fresh for a run."""
    return [
        OneOwner(),
        NoStrayViewer(),
        NoDouble(),
        NoOverload(),
        NothingOfTheEnded(),
        NoLostAnswer(),
        NothingInStandby(),
        SoundTrees(),
        NoCrash(),
        AsWanted(),
        Pictures(),
    ]
