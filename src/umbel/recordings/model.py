"""What recordings are made of. Times are epoch seconds of the control plane, sizes are bytes.

A capture is what was recorded of one stream of an event: there is one, however many people asked
for it. A recording is what one viewer keeps of a capture: a name and a range of time.
"""

from dataclasses import dataclass
from enum import Enum

from umbel.kit.errors import Conflict, NotFound
from umbel.kit.states import Table

MOST_RECORDINGS = 1_000
"""Of one account."""
MOST_SHARES = 20
"""Links to one recording."""
LONGEST_NAME = 200
LONGEST_SHARE_S = 366 * 86_400.0


class NoSuchRecording(NotFound):
    """There is no such recording, or it is somebody else's."""

    code = "umbel.no_such_recording"


class NoReplay(NotFound):
    """Nothing of this event was recorded for everybody."""

    code = "umbel.no_replay"


class NothingRecorded(Conflict):
    """Nothing of it was recorded yet: wait until the event sends something."""

    code = "umbel.nothing_recorded"


class NotRecordable(Conflict):
    """The event is not on air: reserve it to be recorded, or ask for its replay when it is over."""

    code = "umbel.not_recordable"


class TooManyRecordings(Conflict):
    """The account has as many recordings as there may be; delete some."""

    code = "umbel.too_many_recordings"


class RecordingQuotaReached(Conflict):
    """The account's recordings take as many bytes as they may; delete some."""

    code = "umbel.recording_quota_reached"


class TooManyShares(Conflict):
    """The recording has as many links as there may be; revoke some."""

    code = "umbel.too_many_shares"


class NoSuchShare(NotFound):
    """The link is wrong, has expired, or was revoked."""

    code = "umbel.no_such_share"


class CaptureState(Enum):
    """Whether more is to come."""

    RUNNING = "running"
    ENDED = "ended"


class CaptureEvent(Enum):
    """What happens to a capture: everything was stored, or somebody asks for more."""

    END = "end"
    RESUME = "resume"


CAPTURE_LIFE = Table[CaptureState, CaptureEvent](
    {
        (CaptureState.RUNNING, CaptureEvent.END): CaptureState.ENDED,
        (CaptureState.ENDED, CaptureEvent.RESUME): CaptureState.RUNNING,
    }
)


@dataclass(frozen=True, kw_only=True)
class Capture:
    """What was recorded of `stream`. `boot` and `after` say up to which segment of which recorder's
    life it is stored. `item` takes the bytes that come next, and was appended to `item_parts`
    times. `run_zero_s` is when the last run would have begun had it begun with the capture.
    `over_s`: since when the event is over. `dropped` segments came too late to be stored."""

    id: str
    event_id: str
    stream: str
    state: CaptureState = CaptureState.RUNNING
    boot: str = ""
    after: int = -1
    item: str = ""
    item_parts: int = 0
    segments: int = 0
    size: int = 0
    duration_s: float = 0.0
    run_zero_s: float = 0.0
    dropped: int = 0
    problem: str = ""
    started_s: float
    over_s: float | None = None
    version: int = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Segment:
    """A piece of a capture: `size` bytes of `item` from `offset` on. It begins `position_s` after
    the capture's first one, at `began_s` by the control plane's clock; its own times begin at
    `base_s`. With `is_break` they do not follow on from the segment before it. `wall_s` is when it
    began by its stream's own clock, 0 where that is not known."""

    number: int
    item: str
    offset: int
    size: int
    map_number: int
    duration_s: float
    position_s: float
    base_s: float
    began_s: float
    is_break: bool
    wall_s: float = 0.0

    @property
    def ended_s(self) -> float:
        """When it ended, by the control plane's clock."""
        return self.began_s + self.duration_s


@dataclass(frozen=True, kw_only=True, slots=True)
class Picture:
    """A small picture (JPEG) of a capture: `size` bytes of `item` from `offset` on, of what was
    recorded `position_s` after the capture's beginning."""

    number: int
    item: str
    offset: int
    size: int
    position_s: float


class RecordingState(Enum):
    """What there is of a recording."""

    WAITING = "waiting"
    RECORDING = "recording"
    READY = "ready"
    EMPTY = "empty"


@dataclass(frozen=True, kw_only=True)
class Recording:
    """What an account keeps of an event, as `stream` carries it: from `from_s` to `until_s`; None
    is the capture's own beginning, or end. A `reserved` one was asked for before the event.
    `problem` says why it was stopped, if it was."""

    id: str
    username: str
    event_id: str
    stream: str
    name: str
    from_s: float | None
    until_s: float | None
    reserved: bool
    created_s: float
    problem: str = ""


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A recording with what there is of it: `segments` of its capture, which take `size` bytes."""

    recording: Recording
    event_title: str
    provider_name: str
    state: RecordingState
    segments: int
    size: int
    duration_s: float
    began_s: float | None
    problem: str

    @property
    def is_open(self) -> bool:
        """Whether more of it is to come."""
        is_to_come = self.state in (RecordingState.WAITING, RecordingState.RECORDING)
        return is_to_come and self.recording.until_s is None


@dataclass(frozen=True, kw_only=True)
class Share:
    """A link to a recording for anyone who has it. The secret is shown once; its hash is kept."""

    id: str
    recording_id: str
    created_s: float
    expires_s: float


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What an account's recordings take, and may take at most."""

    bytes: int
    quota_bytes: int


@dataclass(frozen=True, kw_only=True)
class Extent:
    """The part of a capture that somebody may play."""

    capture_id: str
    from_s: float | None = None
    until_s: float | None = None
