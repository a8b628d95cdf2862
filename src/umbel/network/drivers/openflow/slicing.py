"""Slices on the operator's switches: the overlay holds streams to them, and tells their ways.

In: slices by stream. Out: the overlay with them, which the fabric brings to the switches; counters
of the switches that answer. Neighbours: fabric.py, statistics.py; delivery's slices ask.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Protocol

from umbel.kit.errors import Invalid, NotFound, Unavailable
from umbel.network import counters, overlay
from umbel.network.carriage import Slice
from umbel.network.counters import FabricCounts, SwitchCounts
from umbel.network.overlay import Overlay
from umbel.network.sites import Plugs
from umbel.network.slices import Flow
from umbel.network.spanning import BadDrawing, Pair


class Carrying(Protocol):
    """A fabric over switches, as far as slices need it."""

    overlay: Overlay

    @property
    def plugs(self) -> Mapping[str, Plugs]:
        """How the nodes' switches are plugged."""

    async def change(self, overlay: Overlay) -> None:
        """The overlay is to be so; returns when the switches that are connected are."""

    def connected(self) -> frozenset[str]:
        """The nodes whose switches can be asked now."""


class OpenFlowSlicing:
    """`count` asks a node's switch for its counters."""

    def __init__(self, fabric: Carrying, count: Callable[[str], Awaitable[SwitchCounts]]) -> None:
        self._fabric = fabric
        self._count = count

    def way(self, stream: str) -> tuple[tuple[Pair, ...], Flow | None]:
        now = self._fabric.overlay
        wish = now.wishes.get(stream)
        if wish is None or not now.has(wish.root):
            return (), None
        try:
            links = now.used(stream)
        except BadDrawing:
            links = ()
        return links, Flow(address=wish.stream.target, port=wish.stream.port)

    async def slice(self, stream: str, kind: Slice | None) -> None:
        now = self._fabric.overlay
        slices = {name: one for name, one in now.slices.items() if name != stream}
        if kind is not None:
            slices[stream] = kind
        if slices != now.slices:
            await self._fabric.change(replace(now, slices=slices))

    async def counted(self) -> FabricCounts:
        found: dict[str, SwitchCounts] = {}
        for node in sorted(self._fabric.connected()):
            try:
                found[node] = await self._count(node)
            except (Invalid, NotFound, Unavailable):
                continue  # it is counted when it answers again
        plugged = {node: overlay.switch(plugs) for node, plugs in self._fabric.plugs.items()}
        return counters.gather(found, plugged)
