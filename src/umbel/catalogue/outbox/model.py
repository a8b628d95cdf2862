"""What is to be sent to a viewer, and what became of it. Times are epoch seconds."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from hashlib import sha256

from umbel.catalogue.choices.model import Channel
from umbel.kit.languages import Language


class MessageKind(Enum):
    """Why somebody is written to."""

    REMINDER = "reminder"
    LIVE = "live"


class MessageState(Enum):
    """What became of a message: it waits, it was handed over, or nobody tries any more."""

    WAITING = "waiting"
    SENT = "sent"
    DROPPED = "dropped"


@dataclass(frozen=True, kw_only=True)
class Planned:
    """A message to be: to whom, why, and by what. `target` names one of the account's devices;
    empty by mail. It is tried until `expires_s`."""

    username: str
    event_id: str
    kind: MessageKind
    channel: Channel
    target: str = ""
    starts_s: float
    lead_s: int = 0
    expires_s: float

    @property
    def id(self) -> str:
        """The same for the same message, in each instance and each time."""
        start = f"{self.starts_s:.3f}" if self.kind is MessageKind.REMINDER else ""
        parts = (
            *(self.username, self.event_id, self.kind.value, self.channel.value),
            *(self.target, start, str(self.lead_s)),
        )
        return sha256("\n".join(parts).encode()).hexdigest()[:40]


@dataclass(frozen=True, kw_only=True)
class Message:
    """A message that this instance is to send now, with what it is about and where it goes; what is
    gone is empty."""

    id: str
    username: str
    kind: MessageKind
    target: str
    lead_s: int
    expires_s: float
    failures: int
    event_id: str
    title: str
    provider_name: str
    starts_s: float
    email: str
    time_zone: str
    language: Language = Language.ENGLISH
    endpoint: str = ""
    p256dh: str = ""
    auth: str = ""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of sending it. `retry_s`: nobody took it, try again then."""

    state: MessageState
    retry_s: float = 0.0


Outcomes = Mapping[str, Outcome]
"""By the messages' ids."""
