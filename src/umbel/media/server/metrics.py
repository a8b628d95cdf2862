"""The server's counters for Prometheus, read from the elements at the moment of the scrape."""

from collections.abc import Callable, Iterable, Iterator

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from umbel.media.io.replay_cache import ReplayCache
from umbel.media.server.registry import Registry
from umbel.media.server.viewer_metrics import ViewerCollector
from umbel.media.webrtc.reports import PeerStats


class StreamCollector(Collector):
    """Streams, viewers, packets and bytes."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def collect(self) -> Iterator[Metric]:
        streams = GaugeMetricFamily("umbel_media_streams", "Streams by role", labels=["role"])
        watching = GaugeMetricFamily("umbel_media_viewers", "Viewers", labels=["stream"])
        roles: dict[str, int] = {}
        for pipeline in self._registry.streams():
            role = pipeline.role.value if pipeline.role else ""
            roles[role] = roles.get(role, 0) + 1
            watching.add_metric(
                [pipeline.stream], len(pipeline.state(pipeline.clock.monotonic_s()).viewers)
            )
        for role, count in roles.items():
            streams.add_metric([role], count)
        yield streams
        yield watching
        yield from self._traffic()

    def _traffic(self) -> Iterator[Metric]:
        labels = ["stream", "element", "direction"]
        packets = CounterMetricFamily("umbel_media_packets", "Packets", labels=labels)
        octets = CounterMetricFamily("umbel_media_bytes", "Bytes", labels=labels)
        for element in self._registry.elements():
            stream = element.root().get_name()
            for direction, count in (("in", element.count_in()), ("out", element.count_out())):
                if count.packets:
                    packets.add_metric([stream, element.type, direction], count.packets)
                    octets.add_metric([stream, element.type, direction], count.bytes)
        yield packets
        yield octets


class ReplayCollector(Collector):
    """Recordings at an edge."""

    def __init__(self, cache: ReplayCache) -> None:
        self._cache = cache

    def collect(self) -> Iterator[Metric]:
        counts = self._cache.counts
        for name, text, value in (
            ("hits", "Pieces of recordings that were kept here when a viewer asked", counts.hits),
            ("misses", "Pieces of recordings that were not", counts.misses),
            ("refused", "Pieces that viewers had to take from the front end", counts.refused),
            ("sent_bytes", "Bytes of recordings that were sent to viewers", counts.sent_bytes),
        ):
            yield CounterMetricFamily(f"umbel_media_replay_{name}", text, value=value)
        kept = "Bytes of recordings that are kept on disk"
        yield GaugeMetricFamily("umbel_media_replay_kept_bytes", kept, value=self._cache.kept_bytes)


class Metrics:
    """What `/metrics` answers; the process's CPU and memory are in it."""

    def __init__(
        self, registry: Registry, peers: Callable[[], Iterable[PeerStats]], replays: ReplayCache
    ) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(StreamCollector(registry))
        self._registry.register(ReplayCollector(replays))
        self._registry.register(ViewerCollector(peers))
        ProcessCollector(registry=self._registry)

    def text(self) -> bytes:
        """The exposition format."""
        return generate_latest(self._registry)
