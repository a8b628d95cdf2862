"""What WebRTC viewers report of their side, for Prometheus: loss, round trip, what they ask for
again. In: the peers' figures at the moment of a scrape. Out: metrics of the whole server.
"""

from collections.abc import Callable, Iterable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from umbel.media.webrtc.reports import PeerStats

_LOSSES = (0.01, 0.05, 0.2)
_Asked = tuple[int, int]


class ViewerCollector(Collector):
    """Viewers by their loss, and totals that also count those who have left by now."""

    def __init__(self, stats: Callable[[], Iterable[PeerStats]]) -> None:
        self._stats = stats
        self._past: _Asked = (0, 0)
        self._now: dict[str, _Asked] = {}

    def collect(self) -> Iterator[Metric]:
        viewers = [one for one in self._stats() if one.is_viewer]
        lossy = GaugeMetricFamily(
            "umbel_media_viewers_lossy",
            "WebRTC viewers who lose a larger share of the packets, by their last report",
            labels=["over"],
        )
        for limit in _LOSSES:
            count = sum(one.fraction_lost > limit for one in viewers)
            lossy.add_metric([f"{limit:g}"], count)
        yield lossy
        trips = [one.round_trip_s for one in viewers if one.round_trip_s is not None]
        yield GaugeMetricFamily(
            "umbel_media_viewer_round_trip_seconds",
            "Longest round trip to a WebRTC viewer",
            value=max(trips, default=0.0),
        )
        resent, pictures = self._totals(viewers)
        yield CounterMetricFamily(
            "umbel_media_packets_resent", "Packets that WebRTC viewers got again", value=resent
        )
        yield CounterMetricFamily(
            "umbel_media_pictures_requested",
            "Key pictures that WebRTC viewers asked for",
            value=pictures,
        )

    def _totals(self, viewers: Iterable[PeerStats]) -> _Asked:
        """Packets sent again and key pictures asked for. What a viewer added after the last scrape
        before it left is not counted."""
        before = self._now
        self._now = {one.resource: (one.packets_resent, one.pictures_requested) for one in viewers}
        gone = [counts for resource, counts in before.items() if resource not in self._now]
        self._past = _sum([self._past, *gone])
        return _sum([self._past, *self._now.values()])


def _sum(all_: Iterable[_Asked]) -> _Asked:
    resent, pictures = zip(*all_, strict=True)
    return sum(resent), sum(pictures)
