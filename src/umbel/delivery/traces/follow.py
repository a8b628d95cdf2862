"""Who watched what, where and when, as a trace that a simulated run replays (`trace_file`).

In: the journal, which has the sessions of all instances over one database, and what is open there.
Out: rows to a file. An existing file is continued: sessions that ended in the meantime are closed,
those that began are opened. Viewers are served even if this fails. Neighbours: the service runs it.
"""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import structlog

from umbel.catalogue.service import Catalogue
from umbel.delivery import guidance
from umbel.delivery.loop.collector import Collector
from umbel.delivery.model import Session
from umbel.delivery.store import DeliveryStore
from umbel.delivery.traces.file import TraceFile
from umbel.delivery.trees import renditions
from umbel.kit.clock import Clock
from umbel.kit.errors import NotFound, Unavailable
from umbel.kit.journal import Change, Journal, JournalTrimmed
from umbel.planner.problem import Kind, Resolution
from umbel.planner.trace import BadTrace, Begin, Closed, ContentRow, How, Opened, Row

log = structlog.get_logger(__name__)

_RETRY_S = 1.0
_BYTES_PER_MBIT = 125_000
# What a live event counts as.
_KIND = Kind.SPORT
_ENDED = {"closed": How.LEFT, "expired": How.LEFT, "refused": How.REFUSED, "evicted": How.LOST}


@dataclass(frozen=True, kw_only=True)
class Viewer:
    """Somebody who asked to watch."""

    id: str
    stream: str
    access_node: str
    at_s: float


@dataclass
class Tape:
    """What a trace holds so far; makes rows that go on from there. Pure."""

    begin_s: float
    now_s: float = 0.0
    open: dict[str, str] = field(default_factory=dict)  # stream by session
    contents: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, rows: Iterable[Row]) -> "Tape":
        """The state after some rows, of which there is one. Raises BadTrace."""
        first, *rest = rows
        if not isinstance(first, Begin):
            raise BadTrace("The trace does not say when it began, so nothing is added to it")
        tape = cls(begin_s=first.unix_s)
        for row in rest:
            match row:
                case ContentRow():
                    tape.contents.add(row.name)
                case Opened():
                    tape.open[row.session] = row.content
                    tape.now_s = row.time_s
                case Closed():
                    tape.open.pop(row.session, None)
                    tape.now_s = row.time_s
        return tape

    def opened(self, viewer: Viewer, content: ContentRow, resolution: Resolution) -> Iterator[Row]:
        """The session begins, if it did not before."""
        if viewer.id in self.open:
            return
        if content.name not in self.contents:
            self.contents.add(content.name)
            yield content
        self.open[viewer.id] = viewer.stream
        at_s = self._trace_time_s(viewer.at_s)
        yield Opened(at_s, viewer.id, viewer.access_node, viewer.stream, resolution)

    def closed(self, session: str, at_s: float, how: How) -> Iterator[Row]:
        """The session ends, if it was open."""
        if self.open.pop(session, None) is not None:
            yield Closed(self._trace_time_s(at_s), session, how)

    def _trace_time_s(self, at_s: float) -> float:
        """The trace's time, which never falls: instances' clocks differ, and so do commits."""
        self.now_s = max(self.now_s, round(at_s - self.begin_s, 3))
        return self.now_s


@dataclass(kw_only=True)
class Tracing:
    """Follows the journal and writes."""

    file: TraceFile
    store: DeliveryStore
    journal: Journal
    catalogue: Catalogue
    collector: Collector
    clock: Clock
    _tape: Tape | None = None

    async def run(self) -> None:
        """Write until cancelled, or until the file cannot be written to."""
        while True:
            try:
                await self._follow()
            except (Unavailable, JournalTrimmed) as error:
                log.warning("trace waits", code=error.code, reason=error.message)
                await asyncio.sleep(_RETRY_S)
            except (BadTrace, OSError) as error:
                log.error("trace not written", file=str(self.file.path), reason=str(error))  # noqa: TRY400 -- the reason is all there is to say
                return

    async def _follow(self) -> None:
        rows = await asyncio.to_thread(self.file.rows)
        self._tape = Tape.of(rows) if rows else None
        head = await self.journal.head()
        await self._catch_up()
        async for change in self.journal.follow(head):
            if change.kind == "session":
                await self._session(change)
            elif change.kind == "tree" and not change.body["functions"]:
                await self._catch_up()

    async def _catch_up(self) -> None:
        """Make the trace say what the store has now."""
        tape, rows = self._begun()
        there = {session.id: session for session in await self.store.sessions()}
        for session in set(tape.open) - set(there):
            rows += tape.closed(session, self.clock.now_s(), How.LEFT)
        for one in there.values():
            rows += await self._open(tape, _viewer(one))
        self.file.append(rows)

    def _begun(self) -> tuple[Tape, list[Row]]:
        """The tape of the file that is there, or a new one with its first row."""
        if self._tape is None or not self.file.is_there():
            self._tape = Tape(begin_s=self.clock.now_s())
            return self._tape, [Begin(self._tape.begin_s)]
        return self._tape, []

    async def _session(self, change: Change) -> None:
        if not self.file.is_there():
            await self._catch_up()
        tape, rows = self._begun()
        what = str(change.body["what"])
        if what in {"opened", "turned-away"}:
            viewer = Viewer(
                id=change.subject,
                stream=str(change.body["stream"]),
                access_node=str(change.body["access_node"]),
                at_s=change.at_s,
            )
            rows += await self._open(tape, viewer)
        if what == "turned-away":
            rows += tape.closed(change.subject, change.at_s, How.REFUSED)
        elif what in _ENDED:
            how = await self._lost(change) or _ENDED[what]
            rows += tape.closed(change.subject, change.at_s, how)
        self.file.append(rows)

    async def _lost(self, change: Change) -> How | None:
        """A viewer who vanished with his edge did not leave."""
        if change.body["what"] != "expired":
            return None
        tree = await self.store.tree(str(change.body["stream"]))
        return How.LOST if tree.branch(str(change.body["function"])) is None else None

    async def _open(self, tape: Tape, viewer: Viewer) -> Sequence[Row]:
        tree = await self.store.tree(viewer.stream)
        status, height = self.collector.status(tree), self.collector.height(tree)
        measured = status.mbps if status is not None else 0.0
        mbps = measured or self.collector.costs.mbps_of(viewer.stream)
        resolution = guidance.resolution_of(height)
        length_s = await self._length_s(viewer.stream)
        content = ContentRow(
            name=viewer.stream,
            kind=_KIND,
            duration_s=length_s,
            size_bytes=max(1, round(mbps * length_s * _BYTES_PER_MBIT)),
            uhd=resolution is Resolution.R2160,
        )
        return list(tape.opened(viewer, content, resolution))

    async def _length_s(self, stream: str) -> float:
        """How long its event is to last, as far as is known."""
        try:
            event = await self.catalogue.event(renditions.event_of(stream))
        except NotFound:
            return 1.0
        return max(1.0, round(event.ends_s - event.starts_s, 3))


def _viewer(session: Session) -> Viewer:
    return Viewer(
        id=session.id,
        stream=session.stream,
        access_node=session.access_node,
        at_s=session.opened_s,
    )
