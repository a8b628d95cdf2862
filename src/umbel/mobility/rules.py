"""What operators do not let be moved: who, what, from where to where, and when. Pure.

In: rules, and a move with its time. Out: the reasons of the rules that refuse it.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from fnmatch import fnmatchcase

from umbel.kit import time_zones
from umbel.kit.errors import Invalid
from umbel.mobility.model import MigrationKind

MOST_RULES = 100
MOST_PATTERNS = 32
LONGEST_PATTERN = 128
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_CLOCK = re.compile(r"([01]\d|2[0-3]):[0-5]\d")
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_LONGEST_REASON = 300


class BadMigrationRule(Invalid):
    """The rule cannot be used; `problems` says what is wrong with it."""

    code = "umbel.bad_migration_rule"


@dataclass(frozen=True, kw_only=True)
class Hours:
    """A part of each of these days, or of every day where there are none, as clocks in `zone` show
    it: from `first` until before `last`. With `last` before `first` it goes on into the next day;
    with both equal it is the whole day."""

    first: str = "00:00"
    last: str = "00:00"
    days: tuple[str, ...] = ()
    zone: str = "UTC"

    def hold(self, now_s: float) -> bool:
        """Whether that moment is in them."""
        local = datetime.fromtimestamp(now_s, time_zones.find(self.zone))
        first, last = map(time.fromisoformat, (self.first, self.last))
        clock = local.time()
        if first < last:
            return self._is_on(local) and first <= clock < last
        if clock >= first:
            return self._is_on(local)
        return clock < last and self._is_on(local - timedelta(days=1))

    def _is_on(self, local: datetime) -> bool:
        return not self.days or DAYS[local.weekday()] in self.days


@dataclass(frozen=True, kw_only=True)
class MigrationRule:
    """Moves that match all of it are refused with its `reason`. Names are patterns such as
    `edge-*`; one that begins with `!` matches what the rest does not. A node matches by its name,
    and by `pool:` and its pool. Nothing given matches everything."""

    name: str
    reason: str
    functions: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    kinds: tuple[MigrationKind, ...] = ()
    hours: Hours | None = None


@dataclass(frozen=True, kw_only=True)
class ProposedMove:
    """A move that somebody asks for. `source` and `target` are the names of each node, and of its
    pool."""

    function: str
    source: Sequence[str]
    target: Sequence[str]
    kind: MigrationKind
    user: str = ""


def refusals(rules: Iterable[MigrationRule], move: ProposedMove, now_s: float) -> tuple[str, ...]:
    """The reasons of all rules against the move at that time, with their names."""
    return tuple(
        f"{rule.reason} (rule {rule.name})" for rule in rules if _refuses(rule, move, now_s)
    )


def check(rule: MigrationRule) -> None:
    """Raise BadMigrationRule, with all that is wrong."""
    problems = []
    if _NAME.fullmatch(rule.name) is None:
        problems.append(f"{rule.name!r} is no name of small letters, digits and hyphens")
    if not rule.reason.strip() or len(rule.reason) > _LONGEST_REASON:
        problems.append(f"the reason has 1 to {_LONGEST_REASON} characters")
    for patterns in (rule.functions, rule.sources, rule.targets, rule.users):
        if len(patterns) > MOST_PATTERNS:
            problems.append(f"there are more than {MOST_PATTERNS} patterns of one kind")
        problems += [
            f"{one!r} is no pattern"
            for one in patterns
            if not 1 <= len(one.removeprefix("!")) <= LONGEST_PATTERN
        ]
    problems += _hours_problems(rule.hours) if rule.hours is not None else []
    if problems:
        raise BadMigrationRule("; ".join(problems), problems=problems)


def _refuses(rule: MigrationRule, move: ProposedMove, now_s: float) -> bool:
    return (
        _match(rule.functions, [move.function])
        and _match(rule.sources, move.source)
        and _match(rule.targets, move.target)
        and _match(rule.users, [move.user])
        and (not rule.kinds or move.kind in rule.kinds)
        and (rule.hours is None or rule.hours.hold(now_s))
    )


def _match(patterns: Sequence[str], names: Sequence[str]) -> bool:
    """Whether one of the patterns matches one of the names, and none with `!` excludes it."""

    def has(pattern: str) -> bool:
        return any(fnmatchcase(name, pattern) for name in names)

    wanted = [one for one in patterns if not one.startswith("!")]
    others = [one[1:] for one in patterns if one.startswith("!")]
    return (not wanted or any(map(has, wanted))) and not any(map(has, others))


def _hours_problems(hours: Hours) -> list[str]:
    problems = [
        f"{one!r} is no time such as 08:30"
        for one in (hours.first, hours.last)
        if _CLOCK.fullmatch(one) is None
    ]
    problems += [f"{one!r} is no day: {', '.join(DAYS)}" for one in hours.days if one not in DAYS]
    if time_zones.find(hours.zone) is None:
        problems.append(f"{hours.zone!r} is no time zone such as Europe/Rome")
    return problems
