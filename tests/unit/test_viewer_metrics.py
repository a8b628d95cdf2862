"""What viewers report, as metrics: now, and in total over those who have left."""

from dataclasses import replace

from prometheus_client import CollectorRegistry

from umbel.media.server.viewer_metrics import ViewerCollector
from umbel.media.webrtc.reports import PeerStats

ANN = PeerStats(
    resource="a",
    session="s1",
    is_viewer=True,
    state="connected",
    srtp_profile="",
    packets=100,
    octets=1000,
    packets_resent=3,
    pictures_requested=1,
    fraction_lost=0.06,
    round_trip_s=0.02,
)


def test_figures_of_viewers_are_shown_and_totals_do_not_fall() -> None:
    peers = [ANN, replace(ANN, resource="b", fraction_lost=0.0, round_trip_s=0.3)]
    peers.append(replace(ANN, resource="c", is_viewer=False, packets_resent=50))
    registry = CollectorRegistry()
    registry.register(ViewerCollector(lambda: peers))

    def value(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(f"umbel_media_{name}", labels)

    assert [value("viewers_lossy", over=limit) for limit in ("0.01", "0.05", "0.2")] == [1, 1, 0]
    assert value("viewer_round_trip_seconds") == 0.3
    assert value("packets_resent_total") == 6
    peers[0] = replace(ANN, packets_resent=5)
    del peers[1]
    assert value("packets_resent_total") == 5 + 3
    peers.clear()
    assert value("packets_resent_total") == 8
    assert value("pictures_requested_total") == 2
    assert value("viewer_round_trip_seconds") == 0
