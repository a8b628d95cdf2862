"""An event, two viewers and recordings of it, over a real database and recorders in memory."""

from dataclasses import dataclass

from support import recorded
from support.clocks import SetClock
from support.passwords import SharedHashes
from support.recorded import Reel, Studio
from support.stored import repository
from umbel.catalogue.model import Event, EventDraft, EventEvent, UserRole
from umbel.catalogue.service import Catalogue
from umbel.kit.db import Database
from umbel.recordings.model import Extent, Kept
from umbel.repository.drivers.fake import FakeStorage
from umbel.repository.service import Repository

NOW_S = 1_803_000_000.0
PASSWORD = "correct horse battery"


@dataclass(kw_only=True)
class RecordedEvent:
    studio: Studio
    catalogue: Catalogue
    repository: Repository
    storage: FakeStorage
    event: Event

    async def on_air(self, reel: Reel) -> Reel:
        """The event's recorder runs as soon as somebody wants it."""
        if (await self.catalogue.event(self.event.id)).state.value == "scheduled":
            await self.catalogue.transition(self.event.id, EventEvent.OPEN)
            await self.catalogue.transition(self.event.id, EventEvent.START)
        self.studio.reels.running[self.event.id] = reel
        return reel

    async def play(self, reel: Reel, count: int) -> None:
        """So many segments more, each stored right after it."""
        for _ in range(count):
            self.studio.advance(2.0)
            reel.ready += 1
            await self.studio.look()

    async def is_wanted(self) -> bool:
        """Whether the event is to have a recorder."""
        return bool(await self.studio.recordings.capturing.wanted([self.event.id]))

    async def kept(self, username: str) -> list[Kept]:
        return (await self.studio.recordings.of(username))[0]

    async def file(self, username: str, recording_id: str, part: int = 0) -> bytes:
        _, extent = await self.studio.recordings.extent(username, recording_id)
        return await self.read(extent, part)

    async def read(self, extent: Extent, part: int = 0) -> bytes:
        replays = self.studio.recordings.replays
        file = await replays.file(extent, part)
        data = b"".join([piece async for piece in replays.read(file, 0, file.size)])
        assert len(data) == file.size
        return data


async def place_of(database: Database, clock: SetClock) -> RecordedEvent:
    """The event is scheduled; ann and bob have accounts."""
    catalogue = Catalogue(database, clock, passwords=SharedHashes(PASSWORD))
    for name in ("ann", "bob"):
        await catalogue.add_user(name, PASSWORD, UserRole.VIEWER)
    provider = await catalogue.add_provider("City", "pe1")
    event = await catalogue.add_event(
        EventDraft(
            provider_id=provider.id,
            title="Council",
            starts_s=NOW_S,
            ends_s=NOW_S + 3600,
        )
    )
    storage = FakeStorage(clock=clock)
    items = repository(database, storage, clock)
    return RecordedEvent(
        studio=recorded.studio(database, catalogue, items, clock),
        catalogue=catalogue,
        repository=items,
        storage=storage,
        event=event,
    )
