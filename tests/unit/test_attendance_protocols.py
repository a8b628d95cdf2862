"""Viewers by protocol, from what edges see."""

from umbel.delivery.attendance.model import Share
from umbel.delivery.attendance.protocols import ProtocolCounter, present
from umbel.media.model import StreamRole, StreamState

EVENT = "ev_1"


def edge(stream: str, *viewers: str, hls: tuple[str, ...] = ()) -> dict[str, StreamState]:
    state = StreamState(
        stream=stream, role=StreamRole.EDGE, viewers=(*viewers, *hls), hls_viewers=hls
    )
    return {stream: state}


def test_the_renditions_of_an_event_are_counted_together() -> None:
    functions = {
        "edge-pe1-1": edge(EVENT, "se_1", hls=("se_2",)),
        "edge-pe2-1": {**edge(f"{EVENT}-360p", "se_3"), **edge("ev_2", hls=("se_4",))},
        "acquirer-pe1-1": edge(EVENT),
    }
    assert present(functions) == {
        (EVENT, "whep"): {"se_1", "se_3"},
        (EVENT, "hls"): {"se_2"},
        ("ev_2", "hls"): {"se_4"},
    }


def test_who_goes_over_to_another_protocol_is_counted_there() -> None:
    counter = ProtocolCounter()
    whep, hls = (EVENT, "whep"), (EVENT, "hls")
    first = counter.sample({whep: frozenset({"a", "b"})}, 100.0)
    assert first == {whep: Share(peak=2)}, "they were counted before a restart"
    second = counter.sample({whep: frozenset({"b", "c"}), hls: frozenset({"a"})}, 110.0)
    assert second == {
        whep: Share(opened=1, watched_s=20.0, peak=2),
        hls: Share(opened=1, watched_s=10.0, peak=1),
    }
    assert counter.sample({}, 120.0) == second, "nobody said that it is stored"
    counter.stored()
    assert counter.sample({}, 130.0) == {}


def test_nothing_is_known_of_a_long_pause() -> None:
    counter, watching = ProtocolCounter(), {(EVENT, "hls"): frozenset({"a"})}
    counter.sample(watching, 100.0)
    assert counter.sample(watching, 4000.0) == {(EVENT, "hls"): Share(peak=1)}
