"""Keeps operators' paths up: asks where their receivers are now, and again for what was refused.

In: the paths that were asked for, and what hosts and switches answer. Out: paths that lead to a
receiver's new network card, refused paths that are carried after all, and what is wrong at paths'
ends. Questions go out one by one; who does not answer is asked ever more rarely.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace

import structlog

from umbel.kit import backoff
from umbel.kit.clock import Clock
from umbel.kit.errors import UmbelError
from umbel.network.operator.model import PathRequest
from umbel.network.operator.store import OperatorStore
from umbel.network.overlay import addresses
from umbel.network.overlay.intent import Overlay
from umbel.network.overlay.streams import StreamIntent
from umbel.network.port_traffic import PortCounters
from umbel.network.ports import Ethernet, ProgrammableFabric
from umbel.network.switching.counters import Count
from umbel.network.switching.port_map import Side

log = structlog.get_logger(__name__)

EVERY_S, _LONGEST_S = 10.0, 300.0
_BETWEEN_S = 0.1
"""At most ten questions a second, however many paths there are."""


@dataclass(kw_only=True)
class PathUpkeep:
    """`unreached` says why, by path, a receiver that was found before is not found any more, and
    `unsent` what a node needs whose own processes were to send, and nothing has come of it.
    `pause` waits for some seconds."""

    store: OperatorStore
    clock: Clock
    fabric: ProgrammableFabric | None
    neighbours: Ethernet | None
    pause: Callable[[float], Awaitable[None]]
    unreached: dict[str, str] = field(default_factory=dict)
    unsent: dict[str, str] = field(default_factory=dict)
    _failures: dict[str, int] = field(default_factory=dict)
    _due_s: dict[str, float] = field(default_factory=dict)

    async def refresh(self) -> None:
        """Look after the paths that are due, once."""
        requests = {request.id: request for request in await self.store.paths()}
        for memo in (self.unreached, self._failures, self._due_s):
            for gone in memo.keys() - requests.keys():
                memo.pop(gone, None)
        for request in requests.values():
            if self.clock.monotonic_s() < self._due_s.get(request.id, 0.0):
                continue
            is_well = await self._carried(request) and await self._found(request)
            self._plan(request.id, is_well=is_well)
        await self._count(requests)

    def _plan(self, path: str, *, is_well: bool) -> None:
        """When to look after the path again: the next time, or after a wait that grows."""
        failures = self._failures[path] = 0 if is_well else self._failures.get(path, 0) + 1
        draw = backoff.draw(path, failures)
        wait_s = backoff.wait_s(failures, draw, first_s=EVERY_S, longest_s=_LONGEST_S)
        self._due_s[path] = self.clock.monotonic_s() + (wait_s if failures else 0.0)

    async def _carried(self, request: PathRequest) -> bool:
        """Whether the path is part of what is carried; if a switch refused it, ask again."""
        fabric, name = self.fabric, request.intent.stream.name
        if fabric is None:
            return False
        held = fabric.overlay.intents.get(name)
        if held is not None and (request.path in held.paths or held.move is not None):
            return True
        intent = intent_of(fabric.overlay, request)
        await fabric.change(fabric.overlay.restore_path(intent, request.path))
        held = fabric.overlay.intents.get(name)
        return held is not None and request.path in held.paths

    async def _found(self, request: PathRequest) -> bool:
        """Whether the receiver answers, if it was found by its answer; the path follows it."""
        fabric, receiver = self.fabric, request.path.receiver
        if fabric is None or self.neighbours is None or receiver is None or not request.is_found:
            return True
        site = fabric.sites.get(request.path.leaf)
        held = fabric.overlay.intents.get(request.intent.stream.name)
        if site is None or held is None or held.move is not None:
            return True
        await self.pause(_BETWEEN_S)
        try:
            mac = await self.neighbours(site, receiver.address)
        except UmbelError as error:
            log.warning("receiver not asked", path=request.id, reason=error.message)
            return False  # its switch is away: that says nothing about the receiver
        if not mac:
            self.unreached[request.id] = (
                f"receiver {receiver.address} does not answer at {request.path.leaf} any more"
            )
            return False
        self.unreached.pop(request.id, None)
        if mac != receiver.mac:
            await self._lead_to(fabric, request, mac)
        return True

    async def _lead_to(self, fabric: ProgrammableFabric, request: PathRequest, mac: str) -> None:
        """The path's receiver has another card now."""
        receiver = request.path.receiver
        assert receiver is not None
        path = replace(request.path, receiver=replace(receiver, mac=mac))
        log.info("receiver has another address", path=request.id, before=receiver.mac, now=mac)
        await self.store.moved(replace(request, path=path), self.clock.now_s())
        overlay = fabric.overlay.restore_path(intent_of(fabric.overlay, request), path)
        await fabric.change(overlay.remove_path(request.intent.stream.name, request.path))

    async def _count(self, requests: Mapping[str, PathRequest]) -> None:
        """Whether what nodes' own processes are to send to addresses of their own has come."""
        self.unsent.clear()
        fabric, sent = self.fabric, {}
        for id_, request in requests.items():
            if fabric is not None and request.intent.sender is Side.INSIDE:
                intent = intent_of(fabric.overlay, request)
                if addresses.foreign_targets([intent]) and intent.root in fabric.observed.connected:
                    sent[id_] = intent
        if not sent or fabric is None or not isinstance(fabric, PortCounters):
            return
        given = (await fabric.counters()).given
        for id_, intent in sent.items():
            stream, root = intent.stream, intent.root
            site = fabric.sites.get(root)  # it may be gone by now
            if site and not given.get((root, stream.target, stream.port), Count()).packets:
                route = addresses.route_into_overlay(site.gateway, stream.target)
                self.unsent[id_] = (
                    f"nothing has come from node {root} yet: no process there sends to "
                    f"{stream.target}:{stream.port}, or the node lacks the route `ip {route}`"
                )


def intent_of(overlay: Overlay, request: PathRequest) -> StreamIntent:
    """The stream as asked for, with what it leaves open: as it is carried, or else allotted."""
    stream = request.intent.stream
    held = overlay.intents.get(stream.name)
    others = [intent.stream for intent in overlay.intents.values()]
    allotted = held.stream if held else addresses.allot(stream.name, others)
    target, port = stream.target or allotted.target, stream.port or allotted.port
    filled = replace(stream, number=allotted.number, target=target, port=port)
    return replace(request.intent, stream=filled)
