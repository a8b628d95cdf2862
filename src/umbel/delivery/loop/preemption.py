"""Room that waits for expected viewers is taken by viewers who are there, and by encoders.

In: a stream that found no room, and the nodes where room would help, the best first. Out: what
waits there for other events has ended, and is not made again for a while. Neighbour: `ahead` knows
what waits.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from umbel.compute.model import Instance
from umbel.delivery.loop.ahead import Ahead
from umbel.delivery.model import Branch, Tree
from umbel.delivery.store import DeliveryStore
from umbel.delivery.trees import renditions
from umbel.delivery.trees.view import EDGE, FORWARDER
from umbel.kit.signal import Signal


@dataclass(kw_only=True)
class Preemption:
    """`reserved` are the functions that run whatever is expected: operators or viewers of
    recordings want them. `changed` is notified when trees or functions have changed. Waits for at
    most `ready_s` seconds."""

    ahead: Ahead
    store: DeliveryStore
    reserved: Callable[[Mapping[str, Tree]], Awaitable[Iterable[Branch]]]
    wake: Callable[[Iterable[str]], None]
    changed: Signal
    ready_s: float

    async def make_way(self, stream: str, nodes: Sequence[str], *, every: bool) -> bool:
        """Have what waits for other events end at the first of the nodes where something does; with
        `every`, at all of them. Answers whether something waited, or is about to end for somebody
        else; waits until it is gone."""
        own, trees = renditions.event_of(stream), await self.store.trees()
        stays = {branch.function for branch in await self.reserved(trees)}
        events: set[str] = set()
        chosen: list[str] = []
        for node in nodes:
            waiting = self.ahead.waiting_at(node) - {own}
            if waiting or self._ending(own, node, trees, stays):
                events |= waiting
                chosen.append(node)
                if not every:
                    break
        if not chosen:
            return False
        if events:
            await self.ahead.give_way(sorted(events), chosen, trees)
        self.wake(sorted(events))
        with suppress(TimeoutError):
            async with asyncio.timeout(self.ready_s):
                while True:
                    changed = self.changed.listen()
                    trees = await self.store.trees()
                    if not any(self._ending(own, node, trees, stays) for node in chosen):
                        break
                    await changed.wait()
        return True

    def _ending(
        self, own: str, node: str, trees: Mapping[str, Tree], stays: Collection[str]
    ) -> set[str]:
        """What still runs at the node although other events give way there."""
        ahead, collector = self.ahead, self.ahead.collector
        events = {i for i in ahead.events if i != own and node in ahead.yielding_at(i)}
        if not events:
            return set()
        sessions = collector.promises.sessions
        watched = {watch for watch, count in sessions.items() if count}
        here = {id_: one for id_, one in collector.instances.items() if one.node == node}
        return unused(here, trees, events, watched) - ahead.before_trees() - set(stays)


def unused(
    functions: Mapping[str, Instance],
    trees: Mapping[str, Tree],
    events: Collection[str],
    watched: Collection[tuple[str, str]],
) -> set[str]:
    """The edges that one of the events' trees has for nobody, and the edges and forwarders that no
    tree has. `watched` are streams and functions with sessions."""
    streams: dict[str, list[str]] = {}
    for stream, tree in trees.items():
        for branch in tree.branches:
            streams.setdefault(branch.function, []).append(stream)
    return {
        id_
        for id_, one in functions.items()
        if (one.description in (EDGE, FORWARDER) and id_ not in streams)
        or (
            one.description == EDGE
            and any(s in events and (s, id_) not in watched for s in streams.get(id_, ()))
        )
    }
