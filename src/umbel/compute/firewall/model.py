"""Rules on functions' ports as values: what they mean, and what can be wrong with one. Pure."""

import ipaddress
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from umbel.compute.model import Transport
from umbel.kit.errors import Conflict, Invalid, NotFound

MOST_RULES_OF_ONE = 32
MOST_RULES = 4096
MOST_SOURCES = 16
_LAST_PORT = 65535
_RANGE = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?")


class BadFirewallRule(Invalid):
    """This is no rule; ports are such as 443, 20000-20010, or the name of a port of the function,
    and sources such as 192.0.2.0/24."""

    code = "umbel.bad_firewall_rule"


class NoSuchFirewallRule(NotFound):
    """No rule has this id."""

    code = "umbel.no_such_firewall_rule"


class TooManyFirewallRules(Conflict):
    """There are as many rules as there may be; remove one."""

    code = "umbel.too_many_firewall_rules"


class NoFirewallThere(Conflict):
    """Ports of this function cannot be closed: it is no guest, or its bridge is Open vSwitch's."""

    code = "umbel.no_firewall_there"


@dataclass(frozen=True, kw_only=True)
class FirewallRule:
    """The function's `ports` take packets from `sources` (CIDRs) alone, and from those of its other
    rules. `ports` is a number, a range, or the name of one of its ports. The function is on `node`,
    as last seen."""

    id: str
    function: str
    node: str
    transport: Transport
    ports: str
    sources: tuple[str, ...]
    created_s: float = 0.0
    created_by: str = ""


@dataclass(frozen=True, order=True)
class PortFilter:
    """What a rule means where its guest runs: ports `first` to `last` take packets from the source
    (CIDR)."""

    transport: str
    first: int
    last: int
    source: str


def resolve(rules: Iterable[FirewallRule], ports: Mapping[str, int]) -> tuple[PortFilter, ...]:
    """The rules of a function that listens on these ports, by name. Raises BadFirewallRule."""
    found = set()
    for rule in rules:
        first, last = port_range(rule.ports, ports)
        found |= {
            PortFilter(rule.transport.value, first, last, source)
            for source in check_sources(rule.sources)
        }
    return tuple(sorted(found))


def port_range(text: str, ports: Mapping[str, int]) -> tuple[int, int]:
    """The first and the last number. Raises BadFirewallRule."""
    if found := _RANGE.fullmatch(text):
        first, last = int(found[1]), int(found[2] or found[1])
        if 0 < first <= last <= _LAST_PORT:
            return first, last
        raise BadFirewallRule(f"{text} is no range of ports from 1 to {_LAST_PORT}")
    if text in ports:
        return ports[text], ports[text]
    names = ", ".join(sorted(ports)) or "none"
    raise BadFirewallRule(f"The function has no port {text[:60]!r}; its ports are {names}")


def check_sources(sources: Sequence[str]) -> list[str]:
    """The sources as networks are written. Raises BadFirewallRule."""
    if not 0 < len(sources) <= MOST_SOURCES:
        raise BadFirewallRule(f"A rule has 1 to {MOST_SOURCES} sources")
    try:
        return [str(ipaddress.ip_network(one)) for one in sources]
    except ValueError as error:
        raise BadFirewallRule(f"{error}: a source is such as 192.0.2.0/24") from error


def covered(filters: Sequence[PortFilter]) -> Iterator[tuple[str, int, int]]:
    """Transport, first and last of the ports that are closed to all that is not let in."""
    yield from sorted({(one.transport, one.first, one.last) for one in filters})


def lets_in(filters: Sequence[PortFilter], source: str, transport: str, port: int) -> bool:
    """Whether a packet from that address reaches the port: one that no rule names is open."""
    meant = [one for one in filters if one.transport == transport and one.first <= port <= one.last]
    address = ipaddress.ip_address(source)
    return not meant or any(address in ipaddress.ip_network(one.source) for one in meant)
