"""What is said in live events: read of acquirers, kept, and given to edges.

In: events on air that have captions. Out: rows of the catalogue; what was said lately, at the edges
that serve the event by HLS now. An acquirer is asked once in READ_S seconds, by the instance that
holds the event's lease. What was read twice is kept once: the newest row says where to go on. Edges
get all of it again each time, so that one that is new, or started again, needs nothing else.
"""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import structlog

from umbel.catalogue.captions.model import Caption, Heard
from umbel.catalogue.service import Catalogue
from umbel.delivery.loop.collector import Collector
from umbel.delivery.store import DeliveryStore
from umbel.delivery.trees import renditions
from umbel.kit.controller import Controller
from umbel.kit.errors import UmbelError
from umbel.kit.leases import Leases
from umbel.media.model import (
    MOST_CUES_SENT,
    CaptionTrack,
    CueBatch,
    NumberedCue,
    StreamRole,
    WantedCues,
)

log = structlog.get_logger(__name__)

READ_S = 1.0
LEASE_S = 20.0
GIVEN_S = 60.0
"""Of what was said last: longer than edges keep pictures."""
_GIVE_S = 1.0
_LOOK_S = 1.0
_KEY = "captions"


@dataclass(kw_only=True)
class CaptionReader:
    """Reads captions of all events that have some."""

    catalogue: Catalogue
    store: DeliveryStore
    collector: Collector
    leases: Leases
    _looks: Controller = field(init=False)
    _reads: Controller = field(init=False)

    def __post_init__(self) -> None:
        self._looks = Controller(self._look)
        self._reads = Controller(self._read)

    async def run(self) -> None:
        """Read, until cancelled."""
        try:
            await self._looks.run(_KEY)
        finally:
            await self._reads.close()

    async def _look(self, _key: str) -> float:
        for event_id, _ in await self.catalogue.captions.live():
            if event_id not in self._reads.keys():  # noqa: SIM118 -- a method of its own
                self._reads.wake(event_id)
        return _LOOK_S

    async def _read(self, event_id: str) -> float | None:
        language = dict(await self.catalogue.captions.live()).get(event_id)
        if language is None:
            await self._reads.forget(event_id)
            return None
        if await self.leases.acquire(f"captions:{event_id}"[:64]):
            await self.read(event_id, language)
            await self.give(event_id, language)
        return READ_S

    async def read(self, event_id: str, language: str) -> None:
        """Keep what was said since the last time."""
        captions = self.catalogue.captions
        boot, number = await captions.last_heard(event_id)
        wanted = WantedCues(language=language, boot=boot, after=number)
        try:
            batch = await self._batch(event_id, wanted)
        except UmbelError as error:
            log.info("captions not read", stream=event_id, reason=error.message)
            await captions.note_problem(event_id, error.message)
            return
        if batch is None:
            return
        heard = [
            Heard(
                boot=batch.boot,
                number=cue.number,
                text=cue.text,
                start_s=cue.start_s,
                end_s=cue.end_s,
            )
            for cue in batch.cues
        ]
        await captions.add(event_id, heard)
        await captions.note_problem(event_id, batch.problem)

    async def give(self, event_id: str, language: str) -> None:
        """Tell edges with viewers over HLS what was said lately. One that does not answer gets
        it the next time."""
        edges = list(self._edges(event_id))
        if edges:
            track = track_of(language, await self.catalogue.captions.after(event_id, None))
            await asyncio.gather(*(self._give(function, of, track) for function, of in edges))

    def _edges(self, event_id: str) -> Iterator[tuple[str, str]]:
        """Functions, each with a stream of the event."""
        for function, states in self.collector.streams.items():
            for stream, state in states.items():
                is_edge = state.role is StreamRole.EDGE and state.hls_viewers
                if is_edge and renditions.event_of(stream) == event_id:
                    yield function, stream

    async def _give(self, function: str, stream: str, track: CaptionTrack) -> None:
        try:
            async with asyncio.timeout(_GIVE_S):
                server = self.collector.server(function)
                await self.collector.media.put_captions(server, stream, track)
        except (UmbelError, TimeoutError) as error:
            log.info("captions not given", function=function, stream=stream, reason=str(error))

    async def _batch(self, event_id: str, wanted: WantedCues) -> CueBatch | None:
        root = (await self.store.tree(event_id)).root
        if root is None:
            return None
        server = self.collector.server(root.function)
        return await self.collector.media.read_cues(server, event_id, wanted)


def track_of(language: str, captions: Sequence[Caption]) -> CaptionTrack:
    """What was said in the GIVEN_S before the end of the last caption."""
    since_s = max((one.end_s for one in captions), default=0.0) - GIVEN_S
    lately = [one for one in captions if one.end_s > since_s][-MOST_CUES_SENT:]
    return CaptionTrack(
        language=language,
        cues=tuple(
            NumberedCue(number=one.number, text=one.text, start_s=one.start_s, end_s=one.end_s)
            for one in lately
        ),
    )
