"""What the catalogue talks about: users, providers, events and an event's life.

Times are epoch seconds. Passwords, stream keys and their hashes never appear in these values.
"""

from dataclasses import dataclass
from enum import Enum, StrEnum

from umbel.kit.errors import Conflict, Exhausted, NotFound, Unauthenticated
from umbel.kit.states import Table


class NoSuchUser(NotFound):
    """No user has that name."""

    code = "umbel.no_such_user"


class NoSuchProvider(NotFound):
    """No provider has that id."""

    code = "umbel.no_such_provider"


class NoSuchEvent(NotFound):
    """No event has that id."""

    code = "umbel.no_such_event"


class BadCredentials(Unauthenticated):
    """The user name or the password is wrong."""

    code = "umbel.bad_credentials"


class TooManySignIns(Exhausted):
    """Too many people sign in at this moment; try again."""

    code = "umbel.too_many_sign_ins"


class UserExists(Conflict):
    """A user with that name exists already."""

    code = "umbel.user_exists"


class LastOperator(Conflict):
    """The last operator cannot be removed."""

    code = "umbel.last_operator"


class ProviderExists(Conflict):
    """A provider with that name exists already."""

    code = "umbel.provider_exists"


class ProviderInUse(Conflict):
    """The provider has events, users or items; it can be removed when it has none."""

    code = "umbel.provider_in_use"


class NoPicture(NotFound):
    """The event has no picture."""

    code = "umbel.no_picture"


class EventOver(Conflict):
    """The event has ended or was cancelled."""

    code = "umbel.event_over"


class UserRole(Enum):
    """What a user may do: watch; run events of providers that it is a member of; everything."""

    VIEWER = "viewer"
    PROVIDER = "provider"
    OPERATOR = "operator"


class EventState(Enum):
    """Where an event is in its life. Viewers may open sessions while it is open or live."""

    SCHEDULED = "scheduled"
    OPEN = "open"
    LIVE = "live"
    ENDED = "ended"
    CANCELLED = "cancelled"


class Visibility(StrEnum):
    """Who finds an event, and who may watch it: everybody; who has its link; who knows its pass
    phrase, too; named accounts."""

    PUBLIC = "public"
    UNLISTED = "unlisted"
    PHRASE = "pass_phrase"
    INVITED = "invited"


class EventEvent(Enum):
    """What can happen to an event: ingest was opened, media started or stopped, it was closed."""

    OPEN = "open"
    START = "start"
    STOP = "stop"
    END = "end"
    CANCEL = "cancel"


EVENT_LIFE = Table[EventState, EventEvent](
    {
        (EventState.SCHEDULED, EventEvent.OPEN): EventState.OPEN,
        (EventState.SCHEDULED, EventEvent.CANCEL): EventState.CANCELLED,
        (EventState.SCHEDULED, EventEvent.END): EventState.ENDED,
        (EventState.OPEN, EventEvent.START): EventState.LIVE,
        (EventState.OPEN, EventEvent.CANCEL): EventState.CANCELLED,
        (EventState.OPEN, EventEvent.END): EventState.ENDED,
        (EventState.LIVE, EventEvent.STOP): EventState.OPEN,
        (EventState.LIVE, EventEvent.END): EventState.ENDED,
    }
)

OVER = frozenset({EventState.ENDED, EventState.CANCELLED})


class MemberRole(StrEnum):
    """What somebody may do for a provider: everything; run its events, and no more."""

    OWNER = "owner"
    EDITOR = "editor"


@dataclass(frozen=True, kw_only=True)
class Membership:
    """A provider that somebody works for."""

    provider_id: str
    provider_name: str
    role: MemberRole


@dataclass(frozen=True, kw_only=True)
class User:
    """Somebody with an account. `provider_id` is that of the provider for whom an account of the
    role PROVIDER was made, else empty; `memberships` say for whom it may act. `generation` names
    this account with this password: it is new with either."""

    username: str
    role: UserRole
    provider_id: str = ""
    generation: str = ""
    memberships: tuple[Membership, ...] = ()
    version: int = 1

    @property
    def owned_ids(self) -> frozenset[str]:
        """The providers that it owns."""
        owned = (one for one in self.memberships if one.role is MemberRole.OWNER)
        return frozenset(one.provider_id for one in owned)


@dataclass(frozen=True, kw_only=True)
class Provider:
    """Who makes events. `access_node` is the node its encoders reach first."""

    id: str
    name: str
    access_node: str
    version: int = 1


@dataclass(frozen=True, kw_only=True)
class EventDraft:
    """What a provider says of an event to be. `vp8`: its viewers may watch in VP8, too.
    `time_zone` is where it takes place, by its IANA name."""

    provider_id: str
    title: str
    starts_s: float
    ends_s: float
    description: str = ""
    vp8: bool = False
    visibility: Visibility = Visibility.PUBLIC
    time_zone: str = "UTC"


@dataclass(frozen=True, kw_only=True)
class EventPatch:
    """What to change of an event; None leaves it as it is."""

    title: str | None = None
    description: str | None = None
    starts_s: float | None = None
    ends_s: float | None = None
    vp8: bool | None = None
    visibility: Visibility | None = None
    time_zone: str | None = None


@dataclass(frozen=True, kw_only=True)
class Event:
    """One live event. `picture` names an item of the repository, empty without one; `series_id` is
    that of the events that were scheduled together, empty for one by itself."""

    id: str
    provider_id: str
    provider_name: str
    title: str
    description: str
    starts_s: float
    ends_s: float
    vp8: bool = False
    visibility: Visibility = Visibility.PUBLIC
    time_zone: str = "UTC"
    picture: str = ""
    series_id: str = ""
    state: EventState = EventState.SCHEDULED
    version: int = 1

    @property
    def is_listed(self) -> bool:
        """Whether everybody finds it; `store.LISTED` says the same to the database."""
        return self.visibility is Visibility.PUBLIC

    @property
    def is_over(self) -> bool:
        """Whether nothing more can happen to it."""
        return self.state in OVER
