"""What is left on a draining node when its deadline passes is ended: viewers' sessions, encoders'
acquirers, and whatever functions still run, of all owners. Viewers and encoders start again
elsewhere; the streams' own reconciliation mends their trees (View.carried).
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import structlog

from umbel.delivery.loop.collector import Collector
from umbel.delivery.model import Session
from umbel.delivery.policy import recorders
from umbel.delivery.trees.view import ACQUIRER
from umbel.kit.clock import Clock

log = structlog.get_logger(__name__)


@dataclass(kw_only=True)
class Eviction:
    """Ends what stays too long; `wake` asks for a stream's run."""

    collector: Collector
    clock: Clock
    wake: Callable[[str], None]

    async def run(self) -> None:
        """Look at every draining node once."""
        compute = self.collector.compute
        late = compute.past_deadline()
        evicted = [node.name for node in compute.nodes() if node.name in late]
        if not evicted:
            return
        for node in evicted:
            await self._end_sessions(node)
        await self._drop_roots(frozenset(evicted))
        await compute.evict()

    async def _end_sessions(self, node: str) -> None:
        now_s = self.clock.now_s()
        self._ended(await self.collector.store.close_sessions_at(node, at_s=now_s))

    async def _drop_roots(self, evicted: frozenset[str]) -> None:
        store, now_s = self.collector.store, self.clock.now_s()
        for stream, tree in (await store.trees()).items():
            root = tree.root
            if root is not None and root.role == ACQUIRER and root.node in evicted:
                log.info("stream evicted", node=root.node, stream=stream)
                left = recorders.alone(tree, now_s).branches
                self._ended(await store.drop_tree(stream, at_s=now_s, why="evicted", kept=left))
            if any(branch.node in evicted for branch in tree.branches):
                self.wake(stream)

    def _ended(self, sessions: Iterable[Session]) -> None:
        for session in sessions:
            log.info("session evicted", node=session.edge_node, session=session.id)
            self.collector.promises.count(session, -1)
            self.wake(session.stream)
