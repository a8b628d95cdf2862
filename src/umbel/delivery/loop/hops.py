"""Has the network carry streams' hops; those that a switch refuses hold no others up.

In: the hops that a stream's tree wants. Out: where each hop's source must send, the hops that are
refused, and a notice when that changed. A refused hop is tried again after growing waits.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import structlog

from umbel.kit import backoff
from umbel.kit.clock import Clock
from umbel.kit.signal import Signal
from umbel.network.model import Endpoint, Hop
from umbel.network.service import Fabric, SwitchRefused

log = structlog.get_logger(__name__)

_FIRST_S, _LONGEST_S = 1.0, 60.0


@dataclass(frozen=True, kw_only=True)
class _Refusal:
    failures: int
    until_s: float


@dataclass(kw_only=True)
class _Hops:
    reach: dict[Hop, Endpoint] = field(default_factory=dict)
    refusals: dict[Hop, _Refusal] = field(default_factory=dict)


@dataclass(kw_only=True)
class StreamHops:
    """The hops of all streams. `changed` is notified when a way is laid or refused: where the
    network copies, that may be without a step of any function."""

    fabric: Fabric
    clock: Clock
    changed: Signal
    _streams: dict[str, _Hops] = field(default_factory=dict)

    def reach(self, stream: str) -> Mapping[Hop, Endpoint]:
        """Where the sources of the hops that are carried must send."""
        return self._streams.get(stream, _Hops()).reach

    def refused(self, stream: str) -> frozenset[Hop]:
        """The hops that a switch refuses."""
        return frozenset(self._streams.get(stream, _Hops()).refusals)

    def forget(self, stream: str) -> None:
        """The stream is carried no longer."""
        self._streams.pop(stream, None)

    async def ensure(self, stream: str, hops: Sequence[Hop]) -> None:
        """Have the network carry these hops and no others. Where it refuses all that is new, the
        stream stays as it is. Raises what Fabric.ensure does, but SwitchRefused only when it is of
        no new hop."""
        known = self._streams.get(stream, _Hops())
        if not hops and not known.reach:
            self.forget(stream)
            return
        before = (known.reach, frozenset(known.refusals))
        known.refusals = {hop: one for hop, one in known.refusals.items() if hop in hops}
        await self._carry(stream, known, hops)
        self._streams[stream] = known
        if (known.reach, frozenset(known.refusals)) != before:
            self.changed.notify()

    async def _carry(self, stream: str, known: _Hops, hops: Sequence[Hop]) -> None:
        now_s = self.clock.monotonic_s()
        waiting = {hop for hop, one in known.refusals.items() if one.until_s > now_s}
        wanted = [hop for hop in hops if hop not in waiting]
        while wanted or not waiting:
            if waiting and known.reach.keys() == set(wanted):
                return  # not asked for again: the network reports the refusal as long as it stands
            try:
                known.reach = dict(await self.fabric.ensure(stream, wanted))
            except SwitchRefused as error:
                leaves = error.details.get("leaves")
                named = leaves if isinstance(leaves, list) else []
                new = [h for h in wanted if h not in known.reach and h.target.node in named]
                if not new:
                    raise
                self._note(stream, known, new, error)
                waiting.update(new)
                wanted = [hop for hop in wanted if hop not in waiting]
            else:
                known.refusals = {hop: known.refusals[hop] for hop in waiting}
                return

    def _note(self, stream: str, known: _Hops, hops: Sequence[Hop], error: SwitchRefused) -> None:
        now_s = self.clock.monotonic_s()
        for hop in hops:
            failures = known.refusals[hop].failures + 1 if hop in known.refusals else 1
            draw = backoff.draw(f"{stream} {hop.target.node}", failures)
            wait_s = backoff.wait_s(failures, draw, first_s=_FIRST_S, longest_s=_LONGEST_S)
            known.refusals[hop] = _Refusal(failures=failures, until_s=now_s + wait_s)
            log.warning(
                "hop refused",
                stream=stream,
                node=hop.target.node,
                reason=error.message,
                again_s=round(wait_s, 1),
            )
