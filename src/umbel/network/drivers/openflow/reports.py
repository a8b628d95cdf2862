"""Reports to watchers what changes in the network: each change once, in order, and logged.

In: events, overlays before and after a change, streams' problems. Out: calls of the watchers.
"""

from collections.abc import Callable, Mapping

import structlog

from umbel.network import events
from umbel.network.events import Event, Watcher
from umbel.network.overlay.intent import Overlay
from umbel.network.switching.signals import Port

log = structlog.get_logger(__name__)


class Reports:
    """The watchers, and what was last reported of each stream."""

    def __init__(self) -> None:
        self._watchers: list[Watcher] = []
        self._paths: dict[str, tuple[tuple[tuple[str, str], ...], str]] = {}

    def watch(self, watch: Watcher) -> Callable[[], None]:
        """Call `watch` with every event from now on. Returns what ends that."""
        self._watchers.append(watch)
        return lambda: self._watchers.remove(watch) if watch in self._watchers else None

    def report(self, event: Event) -> None:
        """Log the event and call every watcher."""
        log.info("network", event_kind=event.kind, **events.body(event))
        for watch in tuple(self._watchers):
            watch(event)

    def report_ports(self, node: str, before: Mapping[int, Port], now: Mapping[int, Port]) -> None:
        """Which ports of a node's switch went and came, by number."""
        for number in sorted(before.keys() - now.keys()):
            self.report(events.PortRemoved(node=node, port=number, name=before[number].name))
        for number in sorted(now.keys() - before.keys()):
            self.report(events.PortAdded(node=node, port=number, name=now[number].name))

    def report_links(self, before: Overlay, after: Overlay) -> None:
        """Which links died and which ones are up again."""
        old, new = before.link_state, after.link_state
        if old is new:
            return
        for a, b in sorted(new.dead - old.dead):
            self.report(events.LinkDown(a=a, b=b))
        for a, b in sorted((old.dead - new.dead) & new.links):
            self.report(events.LinkUp(a=a, b=b))

    def report_paths(self, overlay: Overlay, problems: Mapping[str, tuple[str, ...]]) -> None:
        """Which streams take other links or have other problems than last time."""
        for name in sorted(overlay.intents.keys() | self._paths.keys()):
            links = overlay.used(name) if overlay.carries(name) else ()
            error = "; ".join(problems.get(name, ()))
            if name not in overlay.intents:
                del self._paths[name]
            elif self._paths.get(name) == (links, error):
                continue
            else:
                self._paths[name] = (links, error)
            self.report(events.PathChanged(stream=name, links=links, error=error))
