"""The firewall, for operators: which sources may reach which ports of functions that are guests."""

from typing import Annotated

from fastapi import Path, Query
from pydantic import BaseModel, Field

from umbel.compute.firewall.model import MOST_SOURCES, FirewallRule
from umbel.compute.model import Transport
from umbel.kit.clock import to_rfc3339
from umbel.portal import auth
from umbel.portal.api.resource import Resource
from umbel.portal.api.shapes import Given

router = Resource(prefix="/api/v1/firewall-rules", tags=["guests"])

RuleId = Annotated[str, Path(pattern=r"^fw_[0-9a-z]{1,32}$")]
Source = Annotated[str, Field(max_length=64)]


class FirewallRuleIn(Given):
    """The function's `ports` take packets from `sources` (CIDRs) alone, and from those of its other
    rules. `ports` is a number, a range such as 20000-20010, or the name of one of its ports. Ports
    that no rule names are open."""

    function: Annotated[str, Field(min_length=1, max_length=128)]
    transport: Transport
    ports: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$")]
    sources: Annotated[list[Source], Field(min_length=1, max_length=MOST_SOURCES)]


class FirewallRuleOut(BaseModel):
    """A rule."""

    id: str
    function: str
    node: str
    transport: Transport
    ports: str
    sources: list[str]
    created_at: str
    created_by: str


@router.get("")
async def list_firewall_rules(
    system: auth.SystemDep,
    _operator: auth.Operator,
    function: Annotated[str, Query(max_length=128)] = "",
) -> list[FirewallRuleOut]:
    """List every rule, or those of one function, the oldest first."""
    return [_out(one) for one in await system.firewall.list(function)]


@router.post("", status_code=201)
async def add_firewall_rule(
    system: auth.SystemDep, operator: auth.Operator, given: FirewallRuleIn
) -> FirewallRuleOut:
    """Close ports of a running guest to all sources but these. It is in force when this answers."""
    made = await system.firewall.add(
        given.function, given.transport, given.ports, given.sources, by=operator.username
    )
    return _out(made)


@router.delete("/{rule_id}", status_code=204)
async def remove_firewall_rule(
    system: auth.SystemDep, operator: auth.Operator, rule_id: RuleId
) -> None:
    """Remove a rule. Without one for a port, that port is open."""
    await system.firewall.remove(rule_id, by=operator.username)


def _out(rule: FirewallRule) -> FirewallRuleOut:
    return FirewallRuleOut(
        id=rule.id,
        function=rule.function,
        node=rule.node,
        transport=rule.transport,
        ports=rule.ports,
        sources=list(rule.sources),
        created_at=to_rfc3339(rule.created_s),
        created_by=rule.created_by,
    )
