"""Files of providers and their playout as values, their lives, and what can be wrong with them.

Sizes are bytes, times are epoch seconds, positions are seconds from a file's beginning.
"""

from dataclasses import dataclass, field
from enum import Enum

from umbel.kit.errors import Conflict, Invalid, NotFound
from umbel.kit.states import Table

MOST_FILES = 1_000
"""Files that one provider may have."""
MOST_UPLOADING = 32
"""Of these, how many may be on their way in."""
LONGEST_NAME = 200


class NoSuchFile(NotFound):
    """The provider has no file with this id: it was deleted, or it never existed."""

    code = "umbel.no_such_file"


class TooManyFiles(Conflict):
    """The provider has as many files as it may have, or as many uploads that are not complete;
    delete some."""

    code = "umbel.too_many_files"


class FileNotReady(Conflict):
    """The file cannot be streamed: it is not here yet, or it was refused."""

    code = "umbel.file_not_ready"


class FileInUse(Conflict):
    """An event that is not over streams this file; choose another one there first."""

    code = "umbel.file_in_use"


class NoFilePicture(NotFound):
    """There is no picture of this file, or not yet."""

    code = "umbel.no_file_picture"


class NoPlayout(NotFound):
    """The event streams no file."""

    code = "umbel.no_playout"


class PlayoutPlaying(Conflict):
    """The event streams its file now: stop that first."""

    code = "umbel.playout_playing"


class ForeignFile(Invalid):
    """The file belongs to another provider than the event."""

    code = "umbel.foreign_file"
    http_status = 422


class FileRefused(Invalid):
    """The file is none that can be streamed."""

    code = "umbel.file_refused"
    http_status = 422


class FileState(Enum):
    """Where a file is: on its way in, being checked, good for streaming, or none that can be."""

    UPLOADING = "uploading"
    CHECKING = "checking"
    READY = "ready"
    REFUSED = "refused"


class FileEvent(Enum):
    """What happens to a file: all bytes came, a check ended well or not."""

    ARRIVE = "arrive"
    ACCEPT = "accept"
    REFUSE = "refuse"


FILE_LIFE = Table[FileState, FileEvent](
    {
        (FileState.UPLOADING, FileEvent.ARRIVE): FileState.CHECKING,
        (FileState.CHECKING, FileEvent.ACCEPT): FileState.READY,
        (FileState.CHECKING, FileEvent.REFUSE): FileState.REFUSED,
    }
)


@dataclass(frozen=True, kw_only=True)
class FileFacts:
    """What a check found in a file. Codecs by their names, empty where there is none."""

    container: str = ""
    duration_s: float = 0.0
    video: str = ""
    audio: str = ""
    width: int = 0
    height: int = 0
    fps: float = 0.0


@dataclass(frozen=True, kw_only=True)
class File:
    """A file of a provider; `id` is its item's in the repository. `problem` says why it was
    refused."""

    id: str
    provider_id: str
    name: str
    size: int
    state: FileState = FileState.UPLOADING
    facts: FileFacts = field(default_factory=FileFacts)
    problem: str = ""
    tries: int = 0
    created_s: float
    changed_s: float


class PlayoutState(Enum):
    """What becomes of an event's file: it waits for its start, is sent, was stopped, was sent to
    its end, or cannot be sent."""

    WAITING = "waiting"
    PLAYING = "playing"
    STOPPED = "stopped"
    ENDED = "ended"
    FAILED = "failed"


class PlayoutEvent(Enum):
    """What happens to a playout."""

    START = "start"
    STOP = "stop"
    END = "end"
    FAIL = "fail"


PLAYOUT_LIFE = Table[PlayoutState, PlayoutEvent](
    {
        (PlayoutState.WAITING, PlayoutEvent.START): PlayoutState.PLAYING,
        (PlayoutState.WAITING, PlayoutEvent.STOP): PlayoutState.STOPPED,
        (PlayoutState.STOPPED, PlayoutEvent.START): PlayoutState.PLAYING,
        (PlayoutState.ENDED, PlayoutEvent.START): PlayoutState.PLAYING,
        (PlayoutState.FAILED, PlayoutEvent.START): PlayoutState.PLAYING,
        (PlayoutState.PLAYING, PlayoutEvent.STOP): PlayoutState.STOPPED,
        (PlayoutState.PLAYING, PlayoutEvent.END): PlayoutState.ENDED,
        (PlayoutState.PLAYING, PlayoutEvent.FAIL): PlayoutState.FAILED,
    }
)


@dataclass(frozen=True, kw_only=True)
class Playout:
    """A file that is an event's source. With `on_schedule` it starts when the event begins, with
    `loop` it begins again at its end, with `ends_event` its end is the event's. `position_s` is
    what was sent of it last; `problem` says what is wrong now."""

    event_id: str
    provider_id: str
    file_id: str
    state: PlayoutState = PlayoutState.WAITING
    on_schedule: bool = True
    loop: bool = False
    ends_event: bool = False
    position_s: float = 0.0
    problem: str = ""
    version: int = 1
    changed_s: float
