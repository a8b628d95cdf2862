"""OpenFlow switches in memory, and a network of them: what a packet does, by the book.

In: changes (switching/diff.py), packets, lost links. Out: by which ports copies leave, and with
which fields. Written from OpenFlow 1.3.5, chapter 5; time stands still, so meters only count.
The simulator and tests ask it what real switches would do.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, IPv4Network

from umbel.kit.errors import Invalid
from umbel.network.switching.counters import Count, SwitchCounts
from umbel.network.switching.program import (
    BACK,
    Action,
    Change,
    Delete,
    Field,
    Group,
    GroupKind,
    Meter,
    Output,
    Program,
    Put,
    Rule,
    SetField,
    Translate,
    UseGroup,
    Value,
)

Packet = Mapping[Field, Value]
Flow = tuple[Value, tuple[Value, Value], tuple[Value, Value]]
"""A connection one way: protocol, and where it comes from and goes to (address, port)."""

Function = Callable[[Packet], Packet | None]
"""What sits at a port: takes a packet, and may send one in answer to it."""

_NEEDS = {
    Field.ETH_TYPE: (
        *(Field.IPV4_SRC, Field.IPV4_DST, Field.IP_DSCP, Field.IP_PROTO),
        *(Field.ARP_SPA, Field.ARP_TPA),
    ),
    Field.IP_PROTO: (Field.TCP_SRC, Field.TCP_DST, Field.UDP_SRC, Field.UDP_DST),
}
_MOST_HOPS = 10_000


class Refused(Invalid):
    """The switch refuses the change."""

    code = "umbel.change_refused"


class Looped(Invalid):
    """A packet runs in a loop."""

    code = "umbel.packet_looped"


class MemorySwitch:
    """One switch. `down` are the ports that carry nothing now."""

    def __init__(self) -> None:
        self._rules: dict[object, Rule] = {}
        self._groups: dict[int, Group] = {}
        self._meters: dict[int, Meter] = {}
        self.down: set[int] = set()
        self.hits: Counter[Rule] = Counter()
        self.metered: Counter[int] = Counter()
        self.sent: Counter[int] = Counter()
        self._known: dict[Flow, Flow] = {}

    @property
    def program(self) -> Program:
        """What it holds now."""
        return Program(
            rules=frozenset(self._rules.values()),
            groups=frozenset(self._groups.values()),
            meters=frozenset(self._meters.values()),
        )

    @property
    def counts(self) -> SwitchCounts:
        """What it has counted: packets, which have no size here, and none is dropped for time
        stands still."""
        return SwitchCounts(
            meters={number: Count(packets=n) for number, n in self.metered.items()},
            rules={rule.key: Count(packets=n) for rule, n in self.hits.items()},
            ports={port: Count(packets=n) for port, n in self.sent.items()},
        )

    def apply(self, changes: Sequence[Change]) -> None:
        """All of them in order, or none. Raises Refused for one that OpenFlow calls an error."""
        before = dict(self._rules), dict(self._groups), dict(self._meters)
        try:
            for change in changes:
                if isinstance(change, Delete):
                    self._delete(change.entry)
                else:
                    self._put(change)
        except Refused:
            self._rules, self._groups, self._meters = before
            raise

    def process(self, packet: Packet, in_port: int) -> list[tuple[int, Packet]]:
        """The copies that leave, each with its port, in the order they are sent."""
        if in_port in self.down:
            return []
        leaving = [
            (in_port if port == BACK else port, copy)
            for port, copy in self._pass(dict(packet), in_port)
            if port != in_port and port not in self.down
        ]
        self.sent.update(port for port, _ in leaving)
        return leaving

    def _put(self, put: Put) -> None:
        entry = put.entry
        if isinstance(entry, Rule):
            self._check_rule(entry)
            self._rules[entry.key] = entry
        elif isinstance(entry, Group):
            self._check_new(put, self._groups)
            for bucket in entry.buckets:
                self._check_groups(bucket.actions)
            self._groups[entry.id] = entry
        else:
            self._check_new(put, self._meters)
            self._meters[entry.id] = entry

    def _check_new(self, put: Put, table: Mapping[int, object]) -> None:
        if isinstance(put.entry, Group | Meter) and put.new == (put.entry.id in table):
            raise Refused(f"{put.entry} is {'there already' if put.new else 'not there'}")

    def _delete(self, entry: Rule | Group | Meter) -> None:
        """What uses a group or meter goes with it (sections 5.6.1 and 5.7)."""
        if isinstance(entry, Rule):
            self._rules.pop(entry.key, None)
        elif isinstance(entry, Group):
            self._groups.pop(entry.id, None)
            lost = UseGroup(group=entry.id)
            self._rules = {k: r for k, r in self._rules.items() if lost not in r.actions}
        else:
            self._meters.pop(entry.id, None)
            self._rules = {k: r for k, r in self._rules.items() if r.meter != entry.id}

    def _check_rule(self, rule: Rule) -> None:
        asked = {name for name, _ in rule.match}
        touched = asked | {a.field for a in rule.actions if isinstance(a, SetField)}
        for need, by in _NEEDS.items():
            if touched.intersection(by) and need not in asked:
                raise Refused(f"{rule}: needs a match on {need}")
        if rule.goto is not None and rule.goto <= rule.table:
            raise Refused(f"{rule}: leads back")
        if rule.meter and rule.meter not in self._meters:
            raise Refused(f"{rule}: no such meter")
        self._check_groups(rule.actions)

    def _check_groups(self, actions: Sequence[Action]) -> None:
        for action in actions:
            if isinstance(action, UseGroup) and action.group not in self._groups:
                raise Refused(f"there is no group {action.group}")

    def _pass(self, packet: dict[Field, Value], in_port: int) -> Iterator[tuple[int, Packet]]:
        table: int | None = 0
        metadata = 0
        while table is not None:
            seen = {**packet, Field.IN_PORT: in_port, Field.METADATA: metadata}
            rule = self._match(table, seen)
            if rule is None:
                return
            self.hits[rule] += 1
            if rule.meter:
                self.metered[rule.meter] += 1
            yield from self._act(rule.actions, packet)
            metadata = rule.metadata or metadata
            table = rule.goto
            if rule.actions and isinstance(rule.actions[-1], Translate):
                table = rule.actions[-1].table

    def _match(self, table: int, seen: Packet) -> Rule | None:
        found = [
            rule
            for rule in self._rules.values()
            if rule.table == table and all(_is(seen.get(name), value) for name, value in rule.match)
        ]
        return max(found, key=lambda rule: rule.priority, default=None)

    def _act(
        self, actions: Sequence[Action], packet: dict[Field, Value]
    ) -> Iterator[tuple[int, Packet]]:
        for action in actions:
            if isinstance(action, SetField):
                packet[action.field] = action.value
            elif isinstance(action, Output):
                yield action.port, dict(packet)
            elif isinstance(action, Translate):
                self._translate(action, packet)
            else:
                yield from self._group(self._groups[action.group], packet)

    def _group(self, group: Group, packet: Packet) -> Iterator[tuple[int, Packet]]:
        buckets = group.buckets
        if group.kind is GroupKind.FAILOVER:
            buckets = tuple(b for b in buckets if not b.watch or b.watch not in self.down)[:1]
        for bucket in buckets:
            yield from self._act(bucket.actions, dict(packet))

    def _translate(self, action: Translate, packet: dict[Field, Value]) -> None:
        """By what is known of the connection, which a first packet makes known if there is where
        to lead it."""
        flow = _flow(packet)
        if flow not in self._known and action.address:
            proto, source, target = flow
            there = (action.address, action.port)
            self._known[flow] = (proto, source, there)
            self._known[proto, there, source] = (proto, target, source)
        if flow in self._known:
            proto, *ends = self._known[flow]
            names = _PORTS[proto]
            for (address, port), where, what in zip(ends, _ADDRESSES, names, strict=True):
                packet[where], packet[what] = address, port


_ADDRESSES = (Field.IPV4_SRC, Field.IPV4_DST)
_PORTS: Mapping[Value, tuple[Field, Field]] = {
    6: (Field.TCP_SRC, Field.TCP_DST),
    17: (Field.UDP_SRC, Field.UDP_DST),
}


def _flow(packet: Packet) -> Flow:
    proto = packet.get(Field.IP_PROTO, 0)
    names = _PORTS.get(proto, _PORTS[6])
    source, target = (
        (packet.get(where, ""), packet.get(what, 0))
        for where, what in zip(_ADDRESSES, names, strict=True)
    )
    return (proto, source, target)


def _is(have: Value | None, asked: Value) -> bool:
    """Whether a field has the value asked for, or is in the network asked for."""
    if isinstance(asked, str) and "/" in asked:
        return have is not None and IPv4Address(have) in IPv4Network(asked)
    return have == asked


@dataclass(frozen=True, kw_only=True)
class Plug:
    """A port of a node's switch."""

    node: str
    port: int


@dataclass(frozen=True, kw_only=True)
class DeliveredPacket:
    """A copy that left the network by a port where no other switch is."""

    at: Plug
    packet: Packet = field(hash=False)


@dataclass
class MemoryNetwork:
    """Switches joined by links; functions sit at ports."""

    switches: dict[str, MemorySwitch] = field(default_factory=dict)
    _ends: dict[Plug, Plug] = field(default_factory=dict)
    _functions: dict[Plug, Function] = field(default_factory=dict)

    def join(self, a: Plug, b: Plug) -> None:
        """A link between two ports; their switches are made if need be."""
        for here, there in ((a, b), (b, a)):
            self.switches.setdefault(here.node, MemorySwitch())
            self._ends[here] = there

    def part(self, at: Plug) -> None:
        """The port, and so its link, is gone. One without a link is not an error."""
        far = self._ends.pop(at, None)
        if far is not None:
            del self._ends[far]

    def attach(self, at: Plug, function: Function) -> None:
        """A function gets what leaves by a port, and sends its answer in by it."""
        self._functions[at] = function

    def lose(self, a: str, b: str) -> None:
        """The links between two nodes fail: both ends see it."""
        for port_map in self._between(a, b):
            self.switches[port_map.node].down.add(port_map.port)

    def restore(self, a: str, b: str) -> None:
        """They work again."""
        for port_map in self._between(a, b):
            self.switches[port_map.node].down.discard(port_map.port)

    def send(self, at: Plug, packet: Packet) -> tuple[list[DeliveredPacket], list[tuple[str, str]]]:
        """A packet comes in at a port: every copy that leaves the network (functions' input
        included), and the links that copies went over, as (from, to). Raises Looped."""
        coming = [(at, packet)]
        delivered: list[DeliveredPacket] = []
        crossed: list[tuple[str, str]] = []
        for port_map, arriving in coming:
            if len(coming) > _MOST_HOPS:
                raise Looped(node=port_map.node)
            for port, copy in self.switches[port_map.node].process(arriving, port_map.port):
                out = replace(port_map, port=port)
                far = self._ends.get(out)
                if far is not None:
                    crossed.append((out.node, far.node))
                    coming.append((far, copy))
                    continue
                delivered.append(DeliveredPacket(at=out, packet=copy))
                answer = self._functions[out](copy) if out in self._functions else None
                if answer is not None:
                    coming.append((out, answer))
        return delivered, crossed

    def _between(self, a: str, b: str) -> list[Plug]:
        return [h for h, there in self._ends.items() if {h.node, there.node} == {a, b}]
