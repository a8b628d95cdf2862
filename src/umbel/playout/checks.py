"""Checks of files that have come: what is in them, or why they cannot be streamed.

In: files that wait for a check. Out: files that are ready or refused. One instance does it, one
file at a time, under a lease.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

import structlog

from umbel.kit.clock import Clock
from umbel.kit.controller import Controller
from umbel.kit.errors import UmbelError
from umbel.playout.files import Files
from umbel.playout.model import (
    FILE_LIFE,
    File,
    FileEvent,
    FileFacts,
    FileRefused,
    FileState,
    NoSuchFile,
)
from umbel.playout.worker import PlayoutWorkerLost, Workers
from umbel.repository.model import ItemDamaged, NoSuchItem

log = structlog.get_logger(__name__)

LEASE_S = 60.0
_EVERY_S = 5.0
_TRIES = 3
_LOOP = "files"


@dataclass(kw_only=True)
class Checks:
    """Looks for files every 5 seconds, and when `wake` is called."""

    files: Files
    workers: Workers
    clock: Clock
    lease: Callable[[str], Awaitable[bool]]
    _controller: Controller = field(init=False)

    def __post_init__(self) -> None:
        self._controller = Controller(self._reconcile, lease=self.lease)

    def wake(self) -> None:
        """A file has come."""
        self._controller.wake(_LOOP)

    async def run(self) -> None:
        """Until cancelled."""
        await self._controller.run(_LOOP)

    async def _reconcile(self, _key: str) -> float:
        await self.files.settle_uploads()
        waiting = await self.files.store.in_state(FileState.CHECKING, most=1)
        for file in waiting:
            await self.check(file)
        return 0.0 if waiting else _EVERY_S

    async def check(self, file: File) -> None:
        """The file is ready or refused; where its reader crashed, it is tried three times."""
        try:
            content = await self.files.resumable.repository.content(file.id)
            facts, jpeg = await self.workers.probe(content)
        except (FileRefused, ItemDamaged, NoSuchItem) as error:
            await self._refuse(file, error.message)
        except PlayoutWorkerLost:
            if file.tries + 1 >= _TRIES:
                await self._refuse(file, "The file's reader crashed. Export the video again.")
            else:
                await self._settle(file, lambda now: replace(now, tries=now.tries + 1))
        else:
            await self._accept(file, facts, jpeg)

    async def _accept(self, file: File, facts: FileFacts, jpeg: bytes) -> None:
        def accept(now: File) -> File:
            state = FILE_LIFE.next(now.state, FileEvent.ACCEPT)
            return replace(now, state=state, facts=facts)

        await self._settle(file, accept, jpeg or None)

    async def _refuse(self, file: File, problem: str) -> None:
        def refuse(now: File) -> File:
            state = FILE_LIFE.next(now.state, FileEvent.REFUSE)
            return replace(now, state=state, problem=problem)

        await self._settle(file, refuse)

    async def _settle(
        self, file: File, change: Callable[[File], File], jpeg: bytes | None = None
    ) -> None:
        def settle(now: File) -> File:
            if now.state is not FileState.CHECKING:
                return now  # another instance was faster
            return replace(change(now), changed_s=self.clock.now_s())

        try:
            after = await self.files.store.change(file.id, settle, jpeg)
        except NoSuchFile:
            return  # deleted in the meantime
        except UmbelError as error:
            log.warning("check not kept", file=file.id, code=error.code)
            raise
        log.info("file checked", file=file.id, state=after.state.value, problem=after.problem)
