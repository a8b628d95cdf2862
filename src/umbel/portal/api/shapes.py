"""The API's JSON shapes. Inputs refuse unknown fields; outputs are built from the domains' values.

Times are RFC 3339 in UTC. Every error has the shape `Problem`.
"""

import re
from dataclasses import asdict
from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    IPvAnyNetwork,
    StrictBool,
)

from umbel.catalogue import rules
from umbel.catalogue.model import (
    Event,
    EventState,
    MemberRole,
    Provider,
    User,
    UserRole,
    Visibility,
)
from umbel.catalogue.series import model as series
from umbel.catalogue.service_levels import model as service_levels
from umbel.delivery.model import StreamStatus
from umbel.delivery.service_reports import ServiceReport
from umbel.kit.clock import to_rfc3339

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")


class Problem(BaseModel):
    """What went wrong: a code that never changes, a sentence for people, particulars."""

    code: str
    message: str
    details: dict[str, Any]


def _rfc3339(given: object) -> object:
    if not isinstance(given, str) or _RFC3339.fullmatch(given) is None:
        raise ValueError("a time as in 2030-01-31T12:00:00Z")
    return given


def _near(given: datetime) -> datetime:
    # The last hours of year 9999 have no UTC form.
    if not 1970 <= given.year < 2200:
        raise ValueError("a time between 1970 and 2200")
    return given


def _text(given: object) -> object:
    if isinstance(given, str):
        return given
    raise ValueError("an IP address or a prefix, as text")


IpNetwork = Annotated[IPvAnyNetwork, BeforeValidator(_text)]
"""An address or a prefix. Pydantic alone takes numbers, too: `false` would be 0.0.0.0/32."""
Time = Annotated[datetime, BeforeValidator(_rfc3339), AfterValidator(_near)]
Name = Annotated[str, Field(min_length=1, max_length=rules.MOST_NAME)]
Title = Annotated[str, Field(min_length=1, max_length=rules.MOST_TITLE)]
TimeZone = Annotated[str, Field(min_length=1, max_length=100, description="IANA name")]
PassPhrase = Annotated[str, Field(min_length=1, max_length=512)]
Description = Annotated[str, Field(max_length=rules.MOST_DESCRIPTION)]
NodeName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
Username = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
NewPassword = Annotated[str, Field(min_length=rules.LEAST_PASSWORD, max_length=rules.MOST_PASSWORD)]
Quality = Annotated[str, Field(max_length=16)]
Version = Annotated[int, Field(ge=1, le=2_147_483_647, strict=True)]


class Given(BaseModel):
    """An input: nothing but the named fields."""

    model_config = ConfigDict(extra="forbid")


class TokenOut(BaseModel):
    """A user's token, under both names clients look for."""

    access_token: str
    value: str
    token_type: Literal["bearer"]
    expires_in: int
    scope: UserRole


class Me(BaseModel):
    """Who the token is of."""

    username: str
    role: UserRole
    provider_id: str | None


class MembershipOut(BaseModel):
    """A provider that somebody works for."""

    provider_id: str
    provider_name: str
    role: MemberRole


class MyselfOut(Me):
    """Who the token is of, and the providers that they work for."""

    providers: list[MembershipOut]


class UserIn(Given):
    """A new user."""

    username: Username
    password: NewPassword
    role: UserRole
    provider_id: Annotated[str, Field(max_length=64)] | None = None


class ProviderIn(Given):
    """A new provider."""

    name: Name
    access_node: NodeName


class ProviderPatch(Given):
    """What to change of a provider; `version` guards against changing what was not seen."""

    name: Name | None = None
    access_node: NodeName | None = None
    version: Version | None = None


class ProviderOut(BaseModel):
    """A provider."""

    id: str
    name: str
    access_node: str
    version: int


class ServiceLevelIn(Given):
    """What to promise a provider; `version` guards against changing what was not seen."""

    priority: Annotated[int, Field(ge=0, le=service_levels.MOST_PRIORITY)] = 0
    viewers: Annotated[int, Field(ge=0, le=service_levels.MOST_VIEWERS)] = 0
    height: Annotated[int, Field(ge=0, le=service_levels.MOST_HEIGHT)] = 0
    availability: Annotated[float, Field(ge=0, le=1)] = 0.0
    version: Annotated[int, Field(ge=0, le=2_147_483_647, strict=True)] | None = None


class ServiceLevelOut(BaseModel):
    """What a provider was promised (`version` 0: nothing), and whether it was kept in a period."""

    provider_id: str
    priority: int
    viewers: int
    height: int
    availability: float
    version: int
    since: str
    until: str
    watching: int
    peak_viewers: int
    opened: int
    refused: int
    refused_promised: int
    refused_quality: int
    served_share: float
    kept: dict[Literal["viewers", "quality", "availability"], bool]


class RepeatIn(Given):
    """After how many days, weeks or months an event is repeated, and how many times in all, or up
    to which day in its time zone. Exactly one of `count` and `until`."""

    every: Annotated[int, Field(ge=1, le=series.MOST_EVERY)] = 1
    unit: series.Every
    count: Annotated[int, Field(ge=2, le=series.MOST_OCCURRENCES)] | None = None
    until: date | None = None


class EventIn(Given):
    """A new event. `vp8`: also offer a VP8 picture, for browsers without H.264 in WebRTC.
    `pass_phrase`: with the visibility `pass_phrase` alone; nobody is shown it again. `repeat`: make
    a series of events, of which the answer is the first."""

    provider_id: Annotated[str, Field(min_length=1, max_length=64)]
    title: Title
    description: Description = ""
    starts_at: Time
    ends_at: Time
    vp8: StrictBool = False
    visibility: Visibility = Visibility.PUBLIC
    pass_phrase: PassPhrase | None = None
    time_zone: TimeZone = "UTC"
    repeat: RepeatIn | None = None


class EventChange(Given):
    """What to change of an event, and the version that was read, here or in `If-Match`."""

    version: Version | None = None
    title: Title | None = None
    description: Description | None = None
    starts_at: Time | None = None
    ends_at: Time | None = None
    vp8: bool | None = None
    visibility: Visibility | None = None
    pass_phrase: PassPhrase | None = None
    time_zone: TimeZone | None = None


class StreamOut(BaseModel):
    """How an event's stream does. `qualities` are those on offer to viewers, the best first;
    `key_interval_s` the seconds between key pictures, and `fps` the pictures a second, each 0 while
    it is not known. Of what the encoder sent within the last seconds, `packet_loss` is the share
    that was lost on the way and `frame_loss` that of pictures which it left out, from 0 to 1."""

    flowing: bool
    protocol: str
    video: str
    audio: str
    width: int
    height: int
    transcoding: str
    error: str
    mbps: float
    viewers: int
    qualities: list[str]
    key_interval_s: float
    fps: float
    packet_loss: float
    frame_loss: float


class EventOut(BaseModel):
    """An event. `vp8`: whether a VP8 picture is offered, too. `picture` is the address of its
    picture, null without one. `series_id` is that of the events that it was scheduled with."""

    id: str
    provider_id: str
    provider_name: str
    title: str
    description: str
    starts_at: str
    ends_at: str
    vp8: bool
    visibility: Visibility
    time_zone: str
    picture: str | None
    series_id: str | None
    state: EventState
    version: int
    stream: StreamOut | None


class OverlapOut(BaseModel):
    """Another event of the provider, at the same time."""

    id: str
    title: str
    starts_at: str
    ends_at: str


class SavedEventOut(EventOut):
    """An event as it was saved, with some of the others of its provider that are on at the same
    time: a warning, not an error."""

    overlaps: list[OverlapOut]


def overlap(of: Event) -> OverlapOut:
    """The event as another one's overlap."""
    starts_at, ends_at = to_rfc3339(of.starts_s), to_rfc3339(of.ends_s)
    return OverlapOut(id=of.id, title=of.title, starts_at=starts_at, ends_at=ends_at)


def me(user: User) -> Me:
    """The user as told to itself and to operators."""
    return Me(username=user.username, role=user.role, provider_id=user.provider_id or None)


def myself(user: User) -> MyselfOut:
    """The user, with memberships."""
    providers = [MembershipOut(**vars(one)) for one in user.memberships]
    return MyselfOut(**me(user).model_dump(), providers=providers)


def provider(of: Provider) -> ProviderOut:
    """The provider as told."""
    return ProviderOut(id=of.id, name=of.name, access_node=of.access_node, version=of.version)


def service_level(of: ServiceReport) -> ServiceLevelOut:
    """The level with its report."""
    return ServiceLevelOut(
        **asdict(of.level),
        since=to_rfc3339(of.since_s),
        until=to_rfc3339(of.until_s),
        watching=of.watching,
        peak_viewers=of.peak_viewers,
        opened=of.opened,
        refused=of.refused,
        refused_promised=of.refused_promised,
        refused_quality=of.refused_quality,
        served_share=of.availability,
        kept=of.kept,
    )


def event(of: Event, status: StreamStatus | None) -> EventOut:
    """The event as told, with its stream if there is one."""
    return EventOut(
        id=of.id,
        provider_id=of.provider_id,
        provider_name=of.provider_name,
        title=of.title,
        description=of.description,
        starts_at=to_rfc3339(of.starts_s),
        ends_at=to_rfc3339(of.ends_s),
        vp8=of.vp8,
        visibility=of.visibility,
        time_zone=of.time_zone,
        picture=f"/api/v1/events/{of.id}/picture?v={of.picture}" if of.picture else None,
        series_id=of.series_id or None,
        state=of.state,
        version=of.version,
        stream=StreamOut.model_validate(status, from_attributes=True) if status else None,
    )
