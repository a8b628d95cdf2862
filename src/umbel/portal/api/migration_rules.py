"""Rules against moves of functions, for operators: who may not move what, where, and when."""

from typing import Annotated

from fastapi import Path
from pydantic import BaseModel, Field

from umbel.mobility.model import MigrationKind
from umbel.mobility.rules import DAYS, LONGEST_PATTERN, MOST_PATTERNS, Hours, MigrationRule
from umbel.portal import auth
from umbel.portal.api.resource import Resource
from umbel.portal.api.shapes import Given

router = Resource(prefix="/api/v1/migration-rules", tags=["migrations"])

RuleName = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
Patterns = Annotated[
    list[Annotated[str, Field(min_length=1, max_length=LONGEST_PATTERN + 1)]],
    Field(max_length=MOST_PATTERNS),
]
Clock = Annotated[str, Field(max_length=5)]
_HOURS = Hours()


class HoursIn(Given):
    """A part of each of these days (`mon` to `sun`; none: of every day), as clocks in `zone` show
    it: from `first` until before `last`, in the next day if that is earlier."""

    first: Clock = _HOURS.first
    last: Clock = _HOURS.last
    days: Annotated[list[Annotated[str, Field(max_length=3)]], Field(max_length=len(DAYS))] = Field(
        default=[]
    )
    zone: Annotated[str, Field(max_length=64)] = _HOURS.zone


class MigrationRuleIn(Given):
    """Moves that match all of it are refused with the `reason`. Names are patterns such as
    `edge-*`; one that begins with `!` matches what the rest does not. A node matches by its name,
    and by `pool:` and its pool. What is empty matches everything."""

    reason: Annotated[str, Field(min_length=1, max_length=300)]
    functions: Patterns = Field(default=[])
    sources: Patterns = Field(default=[])
    targets: Patterns = Field(default=[])
    users: Patterns = Field(default=[])
    kinds: Annotated[list[MigrationKind], Field(max_length=len(MigrationKind))] = Field(default=[])
    hours: HoursIn | None = None


class HoursOut(BaseModel):
    """When a rule holds."""

    first: str
    last: str
    days: list[str]
    zone: str


class MigrationRuleOut(BaseModel):
    """A rule against moves."""

    name: str
    reason: str
    functions: list[str]
    sources: list[str]
    targets: list[str]
    users: list[str]
    kinds: list[MigrationKind]
    hours: HoursOut | None


@router.get("")
async def list_migration_rules(
    system: auth.SystemDep, _operator: auth.Operator
) -> list[MigrationRuleOut]:
    """List the rules by name."""
    return [_out(rule) for rule in await system.migration_rules.all()]


@router.put("/{name}")
async def put_migration_rule(
    system: auth.SystemDep, operator: auth.Operator, name: RuleName, given: MigrationRuleIn
) -> MigrationRuleOut:
    """Refuse moves from now on. A move that is under way is not stopped."""
    hours = given.hours
    rule = MigrationRule(
        name=name,
        reason=given.reason,
        functions=tuple(given.functions),
        sources=tuple(given.sources),
        targets=tuple(given.targets),
        users=tuple(given.users),
        kinds=tuple(given.kinds),
        hours=None
        if hours is None
        else Hours(first=hours.first, last=hours.last, days=tuple(hours.days), zone=hours.zone),
    )
    await system.migration_rules.put(rule, by=operator.username)
    return _out(rule)


@router.delete("/{name}", status_code=204)
async def remove_migration_rule(
    system: auth.SystemDep, operator: auth.Operator, name: RuleName
) -> None:
    """Delete a rule. Moves that wait because of it are admitted at the next look."""
    await system.migration_rules.remove(name, by=operator.username)


def _out(rule: MigrationRule) -> MigrationRuleOut:
    return MigrationRuleOut.model_validate(rule, from_attributes=True)
