"""Recordings for tests: recorders in memory with pictures and sound that decoders play, and the
service over a real database."""

import functools
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from support import camera, muxing
from support.camera import Camera
from support.clocks import SetClock
from support.muxing import Made
from umbel.catalogue.service import Catalogue
from umbel.kit.clock import Clock
from umbel.kit.db import Database
from umbel.kit.errors import Unavailable
from umbel.kit.leases import Leases
from umbel.media.hls import boxes
from umbel.media.model import Pulled, PulledSegment
from umbel.recordings import playlists
from umbel.recordings.capturing import LEASE_S, Capturing
from umbel.recordings.model import Extent
from umbel.recordings.service import SOURCE, Recordings, recordings
from umbel.recordings.storyboards.service import Storyboards
from umbel.repository.service import Repository

QUOTA_BYTES = 1 << 30


@functools.cache
def film(seconds: float = 12.0, *, picture: bool = True, sound: bool = True) -> tuple[Made, ...]:
    """Segments of 2 s."""
    made = Camera()
    if picture:
        made = made.video(camera.pictures(seconds))
    if sound:
        made = made.audio(camera.sounds(seconds))
    return tuple(muxing.mux(made.timed()))


@dataclass
class Reel:
    """One life of a recorder: it has the first `ready` segments, and forgets what was stored."""

    boot: str
    segments: tuple[Made, ...]
    ready: int = 0
    is_over: bool = False
    stored: int = -1

    def pull(self, after: int, boot: str) -> Pulled:
        last = after if boot == self.boot else -1
        self.stored = max(self.stored, last)
        found = []
        for number in range(max(last, self.stored) + 1, self.ready):
            one = self.segments[number]
            found.append(
                PulledSegment(
                    number=number,
                    duration_s=one.duration_s,
                    wall_s=0.0,
                    discontinuity=one.opening.discontinuity,
                    map_number=0,
                    keyframes=1,
                    body=b"".join(part.body for part in one.parts),
                )
            )
        tracks = self.segments[0].opening.tracks
        return Pulled(
            boot=self.boot,
            dropped=0,
            ended=self.is_over,
            maps={0: boxes.initialisation(tracks)} if found else {},
            segments=tuple(found),
        )


@dataclass(frozen=True)
class At:
    """Where a recorder is."""

    url: str
    token: str


@dataclass
class Reels:
    """The recorders that run, by stream; one that is `deaf` does not answer. `no_room` is why there
    is none for a stream."""

    running: dict[str, Reel] = field(default_factory=dict)
    pictures: dict[str, bytes] = field(default_factory=dict)
    deaf: bool = False
    asked: int = 0
    no_room: dict[str, str] = field(default_factory=dict)

    async def lacking(self, streams: Collection[str]) -> Mapping[str, str]:
        return {stream: why for stream, why in self.no_room.items() if stream in streams}

    async def stream(self, event_id: str, quality: str) -> str:
        return event_id if quality == SOURCE else f"{event_id}-{quality}"

    async def all(self) -> Mapping[str, At]:
        return {s: At(url=f"fake://{s}", token="secret") for s in self.running}

    async def pull(self, url: str, token: str, after: int, boot: str) -> Pulled:
        self.asked += 1
        stream = url.removeprefix("fake://")
        if self.deaf or stream not in self.running:
            raise Unavailable("the recorder does not answer")
        assert token == "secret"
        return self.running[stream].pull(after, boot)

    async def picture(self, event_id: str) -> bytes | None:
        return self.pictures.get(event_id)

    async def close(self) -> None:
        self.running.clear()


async def playlist(service: Recordings, extent: Extent) -> str:
    """The media playlist of what there is."""
    index = await service.index(extent)
    return playlists.media(index.segments, is_growing=index.is_growing)


@dataclass(kw_only=True)
class Studio:
    """The service, its recorders, and a clock that the test sets."""

    recordings: Recordings
    reels: Reels
    clock: Clock
    changed: list[str]

    async def look(self) -> None:
        """One look, then one pull of each stream that it is about."""
        capturing = self.recordings.capturing
        for stream in {*self.reels.running, *await capturing.look()}:
            await capturing.capture(stream)

    def advance(self, seconds: float) -> None:
        assert isinstance(self.clock, SetClock)
        self.clock.at_s += seconds


def studio(
    database: Database,
    catalogue: Catalogue,
    repository: Repository,
    clock: Clock,
    *,
    quota_bytes: int = QUOTA_BYTES,
    owner: str = "test",
) -> Studio:
    """Recordings over these."""
    reels, changed = Reels(), list[str]()
    capturing = Capturing(
        database=database,
        catalogue=catalogue,
        repository=repository,
        storyboards=Storyboards(
            database=database, repository=repository, take_picture=reels.picture
        ),
        running=reels,
        recorders=reels,
        clock=clock,
        leases=Leases(database, clock, owner, LEASE_S),
        changed=changed.append,
        quota_bytes=quota_bytes,
    )
    made = recordings(capturing, repository, quota_bytes)
    return Studio(recordings=made, reels=reels, clock=clock, changed=changed)
