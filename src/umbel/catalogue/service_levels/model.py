"""A provider's service level, and where it applies now."""

from dataclasses import dataclass

MOST_PRIORITY, MOST_VIEWERS, MOST_HEIGHT = 100, 1_000_000, 4320


@dataclass(frozen=True, kw_only=True)
class ServiceLevel:
    """What a provider was promised: room for `viewers` at once in pictures of up to `height` pixels
    (0: of any height), and the share of them who are served (`availability`, 0 to 1). When room is
    short, a higher `priority` goes first. Version 0: nothing was promised."""

    provider_id: str
    priority: int = 0
    viewers: int = 0
    height: int = 0
    availability: float = 0.0
    version: int = 0


@dataclass(frozen=True, kw_only=True)
class Commitment:
    """A service level with the ids of the provider's events that are open or live."""

    level: ServiceLevel
    events: tuple[str, ...] = ()
