"""Which links live: the same answers as by looking at every end each time."""

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from support.examples import examples
from umbel.network.model import Pair, pair
from umbel.network.overlay.liveness import (
    Liveness,
    LivenessTimers,
    TunnelEndRemoved,
    TunnelEndSeen,
    TunnelEvent,
)

TIMERS = LivenessTimers(hold_down_s=5.0, grace_s=3.0)
NODES = ("a", "b", "c")


@dataclass
class Plain:
    """Every end with whether it will be live, and from when on."""

    ends: dict[Pair, tuple[bool, float]] = field(default_factory=dict)

    def counts_live(self, key: Pair, now_s: float) -> bool:
        live, at_s = self.ends[key]
        return live if now_s >= at_s else not live

    def observe(self, event: TunnelEvent, now_s: float) -> None:
        key = (event.node, event.neighbour)
        if isinstance(event, TunnelEndRemoved):
            self.ends.pop(key, None)
        elif key not in self.ends:
            grace_s = TIMERS.grace_s if event.new and not event.live else 0.0
            self.ends[key] = (event.live, now_s + grace_s)
        elif event.live != self.ends[key][0]:
            held = event.live and not self.counts_live(key, now_s)
            self.ends[key] = (event.live, now_s + (TIMERS.hold_down_s if held else 0.0))

    def dead(self, now_s: float) -> set[Pair]:
        return {pair(*key) for key in self.ends if not self.counts_live(key, now_s)}

    def next_at_s(self, now_s: float) -> float | None:
        return min((at_s for _, at_s in self.ends.values() if at_s > now_s), default=None)


@st.composite
def events(draw: st.DrawFn) -> TunnelEvent:
    node, neighbour = draw(st.permutations(NODES))[:2]
    if draw(st.integers(0, 5)) == 0:
        return TunnelEndRemoved(node=node, neighbour=neighbour)
    live, new = draw(st.booleans()), draw(st.booleans())
    return TunnelEndSeen(node=node, neighbour=neighbour, live=live, new=new)


@examples(400)
@given(st.lists(st.tuples(st.sampled_from([0.0, 0.5, 1.0, 3.0, 5.0]), events()), max_size=30))
def test_links_live_and_die_as_their_ends_do(history: list[tuple[float, TunnelEvent]]) -> None:
    liveness, plain, now_s = Liveness(TIMERS), Plain(), 100.0
    for wait_s, event in history:
        now_s += wait_s
        assert liveness.dead(now_s) == plain.dead(now_s)
        assert liveness.next_at_s(now_s) == plain.next_at_s(now_s)
        liveness.observe(event, now_s)
        plain.observe(event, now_s)
        assert liveness.dead(now_s) == plain.dead(now_s)
        assert liveness.next_at_s(now_s) == plain.next_at_s(now_s)
    assert liveness.dead(now_s) is liveness.dead(now_s)
