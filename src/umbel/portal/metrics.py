"""What Prometheus gets: requests as they pass (ASGI middleware), the platform at each scrape.

In: requests, and the catalogue's and delivery's answers. Out: the text of /metrics. One registry
per app, so that several apps in a process do not meet.
"""

from collections import Counter as Tally
from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.process_collector import ProcessCollector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from umbel.compute.model import NodeState
from umbel.delivery.model import FunctionStatus, LinkStatus
from umbel.kit.clock import Clock
from umbel.portal.ports import System
from umbel.storage.model import StorageStatus

_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)


class Metrics:
    """The app's meters."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self.requests = self._counter("requests", "Requests", "route", "method", "status")
        self.seconds = Histogram(
            "umbel_http_request_seconds",
            "Time to the first byte of the response",
            ("route", "method"),
            buckets=_BUCKETS_S,
            registry=self._registry,
        )
        self._readers_by_source: Tally[str] = Tally()
        self._readers = self._gauge("state_readers", "Open streams of /api/v1/state")
        self._events = self._gauge("events", "Events", "state")
        self._functions = self._gauge("functions", "Functions", "role", "state")
        self._recorders_missing = self._gauge(
            "recorders_missing", "Streams to be recorded for whose recorder there is no room"
        )
        self._viewers = self._gauge("viewers", "Viewers at the edges", "node")
        self._cores = self._gauge("node_cores_used", "CPU cores used", "node")
        self._memory = self._gauge("node_memory_used_mebibytes", "Memory used", "node")
        self._node_rate = self._gauge("node_mbps_used", "Mbit/s sent", "node")
        self._node_on = self._gauge("node_on", "Whether the node is not in standby", "node")
        self._watts = self._gauge(
            "node_watts", "Power by the operator's figures or the planner's model", "node"
        )
        self._host_cores = self._gauge("host_cores_used", "CPU cores used, by all there", "node")
        self._host_memory = self._gauge(
            "host_memory_used_mebibytes", "Memory used, by all there", "node"
        )
        self._storage_answers = self._gauge(
            "storage_answers", "Whether the node's shards can be used", "node"
        )
        self._storage_bytes = self._gauge(
            "storage_bytes", "Shards at the node: used, limit, and free on its disk", "node", "kind"
        )
        self._port_rate = self._gauge("port_mbps_sent", "Mbit/s counted by switches", "a", "b")
        self._link_rate = self._gauge("link_mbps_used", "Mbit/s of streams", "a", "b")

    def has_room(self, source: str, *, most: int, most_per_source: int) -> bool:
        """Whether a stream of changes may be opened from there."""
        readers = self._readers_by_source
        return readers.total() < most and readers[source] < most_per_source

    def reader_came(self, source: str) -> None:
        """A stream of changes opened."""
        self._count_reader(source, 1)

    def reader_left(self, source: str) -> None:
        """A stream of changes closed."""
        self._count_reader(source, -1)

    def _count_reader(self, source: str, change: int) -> None:
        self._readers_by_source[source] += change
        self._readers_by_source = +self._readers_by_source
        self._readers.set(self._readers_by_source.total())

    async def text(self, system: System) -> bytes:
        """The exposition, after a look at the platform. Raises Unavailable."""
        counts, functions = await system.catalogue.counts(), await system.delivery.functions()
        nodes, links = await system.nodes.list(), await system.delivery.links()
        lacking, storage = await system.recordings.lacking(), await system.storage_functions.list()
        # No await from here on: another scrape must not see what is half filled.
        for state, count in counts.items():
            self._events.labels(state.value).set(count)
        self._set_functions(functions)
        self._recorders_missing.set(len(lacking))
        for gauge in (
            self._cores,
            self._memory,
            self._node_rate,
            self._node_on,
            self._watts,
            self._link_rate,
            self._port_rate,
            self._host_cores,
            self._host_memory,
        ):
            gauge.clear()  # of nodes and links that are no more
        for node in nodes:
            self._cores.labels(node.name).set(node.cores_used)
            self._memory.labels(node.name).set(node.memory_used_mb)
            self._node_rate.labels(node.name).set(node.mbps_used)
            self._node_on.labels(node.name).set(node.power is not NodeState.STANDBY)
            if node.watts is not None:
                self._watts.labels(node.name).set(node.watts)
            if node.host is not None:
                self._host_cores.labels(node.name).set(node.host.cores_used)
                self._host_memory.labels(node.name).set(node.host.memory_used_mb)
        for link in links:
            self._set_link(link)
        self._set_storage(storage)
        return generate_latest(self._registry)

    def _set_link(self, link: LinkStatus) -> None:
        self._link_rate.labels(link.a, link.b).set(link.used_mbps)
        ends = {(link.a, link.b): link.a_sends_mbps, (link.b, link.a): link.b_sends_mbps}
        for (source, target), sent in ends.items():
            if sent is not None:
                self._port_rate.labels(source, target).set(sent)

    def _set_storage(self, statuses: Sequence[StorageStatus]) -> None:
        self._storage_answers.clear()
        self._storage_bytes.clear()
        for one in statuses:
            node, usage = one.place.node, one.usage
            self._storage_answers.labels(node).set(usage is not None and not one.problem)
            if usage is not None:
                self._storage_bytes.labels(node, "used").set(usage.used_bytes)
                self._storage_bytes.labels(node, "limit").set(usage.limit_bytes)
                self._storage_bytes.labels(node, "free").set(usage.free_bytes)

    def _set_functions(self, functions: Sequence[FunctionStatus]) -> None:
        self._functions.clear()
        self._viewers.clear()
        for (role, state), count in Tally((f.role, f.state) for f in functions).items():
            self._functions.labels(role, state).set(count)
        for function in functions:
            if function.role == "edge":
                self._viewers.labels(function.node).inc(function.viewers)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"umbel_http_{name}", text, labels, registry=self._registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"umbel_{name}", text, labels, registry=self._registry)


class Metered:
    """Counts and times what passes."""

    def __init__(self, app: ASGIApp, metrics: Metrics, clock: Clock) -> None:
        self._app = app
        self._metrics = metrics
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began_s = self._clock.monotonic_s()

        async def noted(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._note(scope, message["status"], self._clock.monotonic_s() - began_s)
            await send(message)

        await self._app(scope, receive, noted)

    def _note(self, scope: Scope, status: int, took_s: float) -> None:
        # Only names from our own tables become labels: a client must not be able to make new ones.
        route = getattr(scope.get("route"), "path", "other")
        method = scope["method"] if scope["method"] in _METHODS else "other"
        self._metrics.requests.labels(route, method, str(status)).inc()
        self._metrics.seconds.labels(route, method).observe(took_s)
