"""Counters looked at: totals that only grow, rates of the last interval."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from umbel.network.switching import counters
from umbel.network.switching.counters import Count, RateMeter, SwitchCounts, Traffic
from umbel.network.switching.port_map import PortMap


def count(packets: int, drops: int = 0) -> Count:
    return Count(packets=packets, bytes=packets * 1000, drops=drops)


def test_the_rate_is_the_last_intervals() -> None:
    watch: RateMeter[str] = RateMeter()
    watch.update({"a": count(100, drops=7)}, 10.0)
    assert watch.of("a") == Traffic()
    watch.update({"a": count(600, drops=9)}, 12.0)
    assert watch.of("a") == Traffic(total=count(500, drops=2), mbps=2.0, drops_per_s=1.0)
    watch.update({"a": count(600, drops=9)}, 13.0)
    assert watch.of("a") == Traffic(total=count(500, drops=2))


def test_a_counter_that_began_anew_counts_from_nothing() -> None:
    watch: RateMeter[str] = RateMeter()
    for at_s, packets in ((0.0, 50), (1.0, 80), (2.0, 10)):
        watch.update({"a": count(packets)}, at_s)
    assert watch.of("a").total == count(40)
    assert watch.of("a").mbps == pytest.approx(0.08)


def test_two_looks_at_once_give_no_rate_of_their_own() -> None:
    watch: RateMeter[str] = RateMeter()
    watch.update({"a": count(0)}, 1.0)
    watch.update({"a": count(5)}, 1.0)
    assert watch.of("a") == Traffic(total=count(5))


def test_what_is_not_kept_is_forgotten() -> None:
    watch: RateMeter[str] = RateMeter()
    for at_s, packets in ((0.0, 0), (1.0, 9)):
        watch.update({"a": count(packets), "b": count(packets)}, at_s)
    watch.retain(["b"])
    assert (watch.of("a"), watch.of("b").total) == (Traffic(), count(9))


@given(st.lists(st.integers(0, 10**6), min_size=2, max_size=20))
def test_totals_never_shrink(totals: list[int]) -> None:
    watch: RateMeter[str] = RateMeter()
    before = 0
    for at_s, packets in enumerate(totals):
        watch.update({"a": count(packets)}, float(at_s))
        assert watch.of("a").total.packets >= before
        assert watch.of("a").mbps >= 0
        before = watch.of("a").total.packets


def test_a_network_counts_a_stream_once_and_every_drop() -> None:
    switches = {
        "r": PortMap(tunnel_ports={"l": 1}, patch_port=9),
        "l": PortMap(tunnel_ports={"r": 2}, patch_port=9),
    }
    found = counters.gather(
        {
            "r": SwitchCounts(meters={1: count(100, drops=5)}, ports={1: count(95), 9: count(1)}),
            "l": SwitchCounts(meters={1: count(95, drops=2)}),
            "gone": SwitchCounts(meters={2: count(3)}),
        },
        switches,
    )
    assert found.meters == {1: count(100, drops=7), 2: count(3)}
    assert found.links == {("r", "l"): count(95), ("l", "r"): Count()}
