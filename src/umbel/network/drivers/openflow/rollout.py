"""Brings switches from what they hold to what they are to hold, stream by stream.

In: programs by node, and how far from each stream's root the nodes are. Out: bundles to switches,
in rounds that lose no packet; which streams a switch refused.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

import structlog

from umbel.kit.errors import Invalid, NotFound, Unavailable
from umbel.network.switching import diff as changing
from umbel.network.switching.counters import SwitchCounts
from umbel.network.switching.ports import SwitchPrograms
from umbel.network.switching.program import Change, Program, Put
from umbel.network.switching.signals import SwitchRefused, UnknownSwitch
from umbel.network.topology.sites import Site

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """The switch of a node does not take rules, for this reason."""

    node: str
    why: str


class Rollout:
    """`held` is what each connected switch holds, by node, as far as it was read. `drained` waits
    until packets that are on an old way have left it."""

    def __init__(
        self,
        board: SwitchPrograms,
        sites: Mapping[str, Site],
        drained: Callable[[], Awaitable[None]],
    ) -> None:
        self._board, self._sites, self._drained = board, sites, drained
        self.held: dict[str, Program] = {}

    async def read(self, nodes: Sequence[str]) -> None:
        """Learn what switches hold; one that holds what no program of ours does is emptied."""
        await asyncio.gather(*(self._read(node) for node in nodes))

    async def install(
        self, want: Mapping[str, Program], depths: Mapping[int, Mapping[str, int]]
    ) -> Mapping[int, Refusal]:
        """Make the switches that were read hold this. Returns why streams, by their numbers, were
        refused by some switch; what comes after that is not done. Where new ways were laid, old
        ones are left to run empty before they are taken away."""
        have = {node: held for node, held in self.held.items() if node in want}
        goal = {node: want[node] for node in have}
        is_laid = False
        for step in changing.rounds(have, goal, depths):
            lays = any(isinstance(change, Put) for some in step.values() for change in some)
            if is_laid and not lays:
                await self._drained()
            is_laid = lays
            doing = [self._apply(node, some) for node, some in step.items()]
            refused: dict[int, Refusal] = {}
            for found in await asyncio.gather(*doing):
                refused |= found
            if refused:
                return refused
        return {}

    async def counts(self) -> Mapping[str, SwitchCounts]:
        """What the switches that answer have counted."""
        asked = sorted(self.held)
        found = await asyncio.gather(*(self._counts(node) for node in asked))
        return {node: one for node, one in zip(asked, found, strict=True) if one is not None}

    async def _counts(self, node: str) -> SwitchCounts | None:
        try:
            return await self._board.counts(self._dpid(node))
        except (Unavailable, NotFound, Invalid) as error:
            log.warning("counters not read", node=node, code=error.code)
            return None

    async def _read(self, node: str) -> None:
        try:
            held = await self._board.held(self._dpid(node))
            if held is None:
                log.warning("switch held foreign rules", node=node)
                await self._board.clear(self._dpid(node))
                held = Program()
        except (Unavailable, NotFound):
            self.held.pop(node, None)  # its going is reported, and its coming back
        else:
            self.held[node] = held

    async def _apply(self, node: str, changes: Sequence[Change]) -> Mapping[int, Refusal]:
        """Each stream's changes alone, where a switch refuses them together."""
        try:
            await self._apply_changes(node, changes)
        except SwitchRefused as error:
            streams = {changing.stream_of(change.entry) for change in changes}
            if len(streams) == 1:
                return dict.fromkeys(streams, _refusal(node, error))
        else:
            return {}
        parts: dict[int, list[Change]] = defaultdict(list)
        for change in changes:
            parts[changing.stream_of(change.entry)].append(change)
        refused = {}
        for stream, part in parts.items():
            try:
                await self._apply_changes(node, part)
            except SwitchRefused as error:
                refused[stream] = _refusal(node, error)
        return refused

    async def _apply_changes(self, node: str, changes: Sequence[Change]) -> None:
        """The changes are made, or the switch is gone. Raises SwitchRefused."""
        if node not in self.held:
            return
        left = changing.left(self.held[node], changes)
        try:
            if left:
                await self._board.apply(self._dpid(node), left)
        except SwitchRefused:
            await self._read(node)  # without bundles some of them may be there
            raise
        except (Unavailable, NotFound):
            self.held.pop(node, None)
        else:
            self.held[node] = changing.apply(self.held[node], left)

    def _dpid(self, node: str) -> int:
        """Raises UnknownSwitch when the node's site went."""
        site = self._sites.get(node)
        if site is None:
            raise UnknownSwitch(f"No site describes a switch of {node} any more", node=node)
        return site.datapath_id


def _refusal(node: str, error: SwitchRefused) -> Refusal:
    said = ", ".join(f"{key} {value}" for key, value in error.details.items() if key != "dpid")
    why = f"the switch of node {node} refuses a rule ({said or error.message})"
    return Refusal(node=node, why=why)
