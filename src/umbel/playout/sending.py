"""One file on its way to an acquirer, from where it was to its end, whatever breaks on the way.

In: a playout. Out: a worker that sends it, again and again until it is through; the position in the
database every 2 seconds, so that another instance goes on there.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

import structlog

from umbel.kit import backoff
from umbel.kit.clock import Clock
from umbel.kit.errors import Exhausted, UmbelError, Unavailable
from umbel.playout.model import PLAYOUT_LIFE, Playout, PlayoutEvent, PlayoutState
from umbel.playout.ports import Ingesting
from umbel.playout.store import PlayoutStore
from umbel.playout.worker import PlayoutTarget, Workers
from umbel.repository.service import Repository

log = structlog.get_logger(__name__)

SAVE_EVERY_S = 2.0
_MOST_FAILURES = 30
_FIRST_WAIT_S = 0.5
_LONGEST_WAIT_S = 5.0
_PROGRESS_S = 3.0
_TAKEN = "The acquirer does not take the file. Does another encoder stream to this event?"


class _Stopped(Exception):
    """It plays no more."""


@dataclass(kw_only=True)
class Sender:
    """Sends files; `end_event` is called for an event whose file has ended where that is wished."""

    store: PlayoutStore
    repository: Repository
    ingest: Ingesting
    workers: Workers
    key_of: Callable[[str], str]
    end_event: Callable[[str], Awaitable[None]]
    clock: Clock
    positions: dict[str, float] = field(default_factory=dict)
    finishing: set[str] = field(default_factory=set)

    async def send(self, event_id: str) -> None:
        """Send the event's file until its end, or until it cannot be."""
        failures = 0
        try:
            while True:
                begun_s = (await self._playing(event_id)).position_s
                self.positions[event_id] = begun_s
                try:
                    await self._send_once(event_id)
                except (Exhausted, Unavailable, UmbelError) as error:
                    has_moved = self.positions[event_id] - begun_s > _PROGRESS_S
                    failures = 1 if has_moved else failures + 1
                    await self._keep(event_id, problem=_problem(error))
                    log.warning("playout interrupted", event_id=event_id, code=error.code)
                    if failures > _MOST_FAILURES:
                        await self._finish(event_id, PlayoutEvent.FAIL)
                        return
                    draw = backoff.draw(event_id, failures)
                    await asyncio.sleep(
                        backoff.wait_s(
                            failures, draw, first_s=_FIRST_WAIT_S, longest_s=_LONGEST_WAIT_S
                        )
                    )
                    continue
                failures = 0
                playout = await self._playing(event_id)
                if playout.loop:
                    await self._keep(event_id, position_s=0.0)
                    continue
                self.finishing.add(event_id)
                if playout.ends_event:
                    # First: after a crash in between, the file's end is sent again.
                    await self.end_event(event_id)
                await self._finish(event_id, PlayoutEvent.END)
                log.info("playout ended", event_id=event_id, file=playout.file_id)
                return
        except _Stopped:
            return
        finally:
            self.positions.pop(event_id, None)
            self.finishing.discard(event_id)

    async def _send_once(self, event_id: str) -> None:
        playout = await self._playing(event_id)
        content = await self.repository.content(playout.file_id)
        point = await self.ingest.open_ingest(event_id)
        target = PlayoutTarget(uri=point.urls["srt"], key=self.key_of(event_id))
        saved_s = self.clock.monotonic_s()

        async def on_position(position_s: float) -> None:
            nonlocal saved_s
            if position_s <= self.positions[event_id]:
                return
            self.positions[event_id] = position_s
            now_s = self.clock.monotonic_s()
            if now_s - saved_s >= SAVE_EVERY_S:
                saved_s = now_s
                await self._keep(event_id, position_s=position_s, problem="")

        try:
            await self.workers.play(content, target, playout.position_s, on_position)
        finally:
            # Also when it is stopped: it goes on from here.
            await asyncio.shield(self._keep(event_id, position_s=self.positions[event_id]))

    async def _playing(self, event_id: str) -> Playout:
        playout = await self.store.get(event_id)
        if playout.state is not PlayoutState.PLAYING:
            raise _Stopped
        return playout

    async def _keep(self, event_id: str, **changes: object) -> None:
        await self.store.change(event_id, lambda now: replace(now, **changes))  # type: ignore[arg-type]

    async def _finish(self, event_id: str, what: PlayoutEvent) -> None:
        def finish(now: Playout) -> Playout:
            if now.state is not PlayoutState.PLAYING:
                return now
            state = PLAYOUT_LIFE.next(now.state, what)
            changed = replace(now, state=state, version=now.version + 1)
            return replace(changed, changed_s=self.clock.now_s())

        await self.store.change(event_id, finish)


def _problem(error: UmbelError) -> str:
    return error.message or _TAKEN
