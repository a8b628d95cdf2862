"""A migration: the move of one function to another node, and where it is. Plain values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from umbel.kit.states import Table

Json = Mapping[str, object]


class MigrationState(StrEnum):
    """Where a migration is."""

    PLANNED = "planned"  # it waits to be admitted
    ADMITTED = "admitted"  # its room at the target is promised
    PREPARED = "prepared"  # what the copy needs is there
    COPYING = "copying"
    SWITCHED = "switched"  # the copy at the target serves
    COMMITTED = "committed"
    ABORTED = "aborted"  # the function is where it was, or is gone


class MigrationEvent(StrEnum):
    """What happens to it."""

    ADMIT = "admit"
    PREPARE = "prepare"
    COPY = "copy"
    SWITCH = "switch"
    COMMIT = "commit"
    ABORT = "abort"


_S, _E = MigrationState, MigrationEvent
MIGRATION_STATES: Table[MigrationState, MigrationEvent] = Table(
    {
        (_S.PLANNED, _E.ADMIT): _S.ADMITTED,
        (_S.PLANNED, _E.ABORT): _S.ABORTED,
        (_S.ADMITTED, _E.PREPARE): _S.PREPARED,
        (_S.ADMITTED, _E.ABORT): _S.ABORTED,
        (_S.PREPARED, _E.COPY): _S.COPYING,
        (_S.PREPARED, _E.ABORT): _S.ABORTED,
        (_S.COPYING, _E.SWITCH): _S.SWITCHED,
        (_S.COPYING, _E.ABORT): _S.ABORTED,
        # The copy at the target is the one that runs: there is no way back from here.
        (_S.SWITCHED, _E.COMMIT): _S.COMMITTED,
    }
)
OVER = frozenset({MigrationState.COMMITTED, MigrationState.ABORTED})
ACTIVE = frozenset(MigrationState) - OVER
RUNNING = ACTIVE - {MigrationState.PLANNED}


class MigrationKind(StrEnum):
    """How the function gets to the target."""

    SHARED_STORAGE = "shared-storage"  # it is copied while it runs; both nodes reach its disk
    FULL_TRANSFER = "full-transfer"  # its disk is copied, too
    REPLACEMENT = "replacement"  # another one starts there and takes over: make before break


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What a migration may cost: seconds in which the function does not answer, and seconds in
    all. `dirty_mbps` is how fast the function writes its memory, where the operator knows it."""

    max_gap_s: float = 0.3
    max_duration_s: float = 600.0
    dirty_mbps: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Migration:
    """One move of one function.

    Until `wait_until_s` it may wait to be admitted. `reason` is why it waits or was aborted;
    `cancelled_by` who wants it aborted. `predicted` is what the admission reckoned with,
    `progress` how far the copy is as far as the VIM says, `achieved` what came of it. `version`
    counts the changes.
    """

    id: str
    function: str
    owner: str
    source: str
    target: str
    kind: MigrationKind
    requested_by: str
    requested_s: float
    changed_s: float
    wait_until_s: float
    terms: Terms = Terms()
    state: MigrationState = MigrationState.PLANNED
    reason: str = ""
    cancelled_by: str = ""
    copying_s: float | None = None
    predicted: Json | None = None
    progress: Json = field(default_factory=dict)
    achieved: Json | None = None

    @property
    def is_over(self) -> bool:
        """Whether nothing happens to it any more."""
        return self.state in OVER


@dataclass(frozen=True, kw_only=True)
class Step:
    """An event of a migration, with what is known by it; None stays as it is."""

    event: MigrationEvent
    reason: str = ""
    predicted: Json | None = None
    achieved: Json | None = None
