"""Files of providers: they come by uploads, are checked, and go.

In: uploads' bytes, what a check found. Out: files with their facts and pictures. The bytes are
items of the repository. Neighbours: checks.py checks what has come, service.py streams it.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

import structlog

from umbel.kit.clock import Clock
from umbel.playout.model import FILE_LIFE, LONGEST_NAME, File, FileEvent, FileState, NoSuchFile
from umbel.playout.store import FileStore
from umbel.repository import tus
from umbel.repository.model import NoSuchItem
from umbel.repository.resumable import NoSuchResumableUpload, ResumableUploads, Upload
from umbel.repository.tus import Checksum

log = structlog.get_logger(__name__)


@dataclass(kw_only=True)
class Files:
    """The files of all providers. `arrived` is called when one has all its bytes."""

    store: FileStore
    resumable: ResumableUploads
    clock: Clock
    arrived: Callable[[], None] = lambda: None

    async def begin(self, provider_id: str, length: int, raw_metadata: str) -> Upload:
        """A file of that many bytes is on its way. Raises BadTusHeader, TooManyFiles and what
        `ResumableUploads.create` raises."""
        name = _name(tus.metadata(raw_metadata))
        upload = await self.resumable.create(provider_id, length, raw_metadata, {"name": name})
        now_s = self.clock.now_s()
        new = File(
            id=upload.item.id,
            provider_id=provider_id,
            name=name,
            size=length,
            created_s=now_s,
            changed_s=now_s,
        )
        try:
            await self.store.add(new)
        except BaseException:
            with suppress(NoSuchResumableUpload):
                await self.resumable.delete(upload.item.id)
            raise
        return upload

    async def receive(
        self,
        file_id: str,
        offset: int,
        chunks: AsyncIterator[bytes],
        checksum: Checksum | None = None,
    ) -> Upload:
        """Bytes of the file. Raises what `ResumableUploads.append` raises."""
        upload = await self.resumable.append(file_id, offset, chunks, checksum)
        if upload.is_whole:
            await self._arrive(file_id)
        return upload

    async def give_up(self, file_id: str) -> None:
        """The upload goes. Raises NoSuchResumableUpload, FileInUse."""
        with suppress(NoSuchFile):
            await self.store.delete(file_id)
        await self.resumable.delete(file_id)

    async def get(self, file_id: str) -> File:
        """That file. Raises NoSuchFile."""
        return await self.store.get(file_id)

    async def find(self, file_id: str) -> File | None:
        """That file, None where it was deleted."""
        try:
            return await self.store.get(file_id)
        except NoSuchFile:
            return None

    async def list(self, provider_id: str) -> list[File]:
        """The provider's files, the newest first."""
        return await self.store.of_provider(provider_id)

    async def received(self, file: File) -> int:
        """How many bytes of it are here."""
        if file.state is not FileState.UPLOADING:
            return file.size
        try:
            return (await self.resumable.get(file.id)).item.size
        except NoSuchResumableUpload:
            return 0

    async def delete(self, file_id: str) -> None:
        """The file goes with its bytes. Raises NoSuchFile, FileInUse."""
        await self.store.delete(file_id)
        with suppress(NoSuchItem):
            await self.resumable.repository.delete(file_id)
        log.info("file deleted", file=file_id)

    async def settle_uploads(self) -> None:
        """Make rows and uploads agree after a crash: whole uploads arrive, files whose upload has
        expired go."""
        for file in await self.store.in_state(FileState.UPLOADING):
            try:
                upload = await self.resumable.get(file.id)
            except NoSuchResumableUpload:
                with suppress(NoSuchFile):
                    await self.store.delete(file.id)
                log.info("upload expired", file=file.id, provider=file.provider_id)
            else:
                if upload.is_whole:
                    await self._arrive(file.id)

    async def _arrive(self, file_id: str) -> None:
        def arrive(file: File) -> File:
            if file.state is not FileState.UPLOADING:
                return file
            state = FILE_LIFE.next(file.state, FileEvent.ARRIVE)
            return replace(file, state=state, changed_s=self.clock.now_s())

        await self.store.change(file_id, arrive)
        self.arrived()


def _name(metadata: Mapping[str, str]) -> str:
    """What the client calls the file, a line without control characters."""
    given = metadata.get("filename") or metadata.get("name") or ""
    line = "".join(one for one in given if one.isprintable()).strip()
    return line.replace("\\", "/").rpartition("/")[2][:LONGEST_NAME] or "Untitled"
