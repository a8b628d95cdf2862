"""Every rule in words: whose packets it is for, which step of the pipeline, where they go. Pure.

In: what a switch holds, how it is plugged, the streams that are asked for, and the borders. Out: a
line a rule.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from umbel.network.edge import explain as border_words
from umbel.network.edge.compiler import Borders
from umbel.network.overlay.intent import Overlay
from umbel.network.switching.port_map import Plugs
from umbel.network.switching.program import (
    BACK,
    Action,
    Field,
    Group,
    GroupKind,
    Output,
    Program,
    Rule,
    SetField,
    Translate,
    UseGroup,
    Value,
)
from umbel.network.switching.tables import Table

_TABLES: Mapping[int, str] = {table.value: table.name.lower() for table in Table}
_NO_BORDERS = Borders()


@dataclass(frozen=True, kw_only=True)
class Way:
    """One copy that leaves: by the first live one of `ports`, with these fields rewritten."""

    ports: tuple[int, ...]
    rewritten: Mapping[Field, Value] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Explained:
    """A rule of a node's switch: the stream it serves (empty: none), the tree's root, the leaves
    of the paths that lead through the node, and what it does, in words."""

    node: str
    rule: Rule
    step: str
    stream: str = ""
    root: str = ""
    leaves: tuple[str, ...] = ()
    ways: tuple[Way, ...] = ()
    words: str = ""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a stream goes: its tree's root, and by node the leaves of the paths through it."""

    root: str = ""
    leaves: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


_NOWHERE = Place()


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What all switches' rules are understood by: streams by their numbers and names, borders."""

    streams: Mapping[int, str]
    places: Mapping[str, Place]
    borders: Borders


@dataclass(frozen=True, kw_only=True)
class _Known:
    """What one switch's rules are understood by."""

    asked: Asked
    plugs: Plugs
    groups: Mapping[int, Group]
    addresses: border_words.Names


def asked(overlay: Overlay, borders: Borders = _NO_BORDERS) -> Asked:
    """What is asked for now."""
    wishes = overlay.wishes
    return Asked(
        streams={wish.stream.number: name for name, wish in wishes.items()},
        places={name: _place(overlay, name) for name in wishes if overlay.carries(name)},
        borders=borders,
    )


def explain(node: str, held: Program, plugs: Plugs, by: Asked) -> tuple[Explained, ...]:
    """Every rule the switch holds, in the pipeline's order."""
    known = _Known(
        asked=by,
        plugs=plugs,
        groups={group.id: group for group in held.groups},
        addresses=border_words.names(by.borders, node),
    )
    rules = sorted(held.rules, key=lambda rule: (rule.table, -rule.priority, repr(rule.match)))
    return tuple(_one(node, rule, known) for rule in rules)


def _one(node: str, rule: Rule, known: _Known) -> Explained:
    stream = known.asked.streams.get(_number(rule), "")
    ways = tuple(_ways(rule.actions, known.groups, {}))
    place = known.asked.places.get(stream, _NOWHERE)
    return Explained(
        node=node,
        rule=rule,
        step=_TABLES.get(rule.table, f"table {rule.table}"),
        stream=stream,
        root=place.root,
        leaves=place.leaves.get(node, ()),
        ways=ways,
        words=_words(rule, stream, ways, known),
    )


def _number(rule: Rule) -> int:
    """The number of the stream it is for, 0 where it is for none."""
    asked = dict(rule.match).get(Field.METADATA, 0)
    return rule.metadata or (asked if isinstance(asked, int) else 0)


def _place(overlay: Overlay, stream: str) -> Place:
    tree, leaves = overlay.tree(stream), overlay.wishes[stream].leaves
    through: dict[str, list[str]] = {}
    for leaf in sorted(leaves & tree.depths.keys()):
        for node in tree.chain(leaf):
            through.setdefault(node, []).append(leaf)
    return Place(root=tree.root, leaves={node: tuple(found) for node, found in through.items()})


def _ways(
    actions: Sequence[Action], groups: Mapping[int, Group], before: Mapping[Field, Value]
) -> Iterator[Way]:
    new = dict(before)
    for action in actions:
        if isinstance(action, SetField):
            new[action.field] = action.value
        elif isinstance(action, Output):
            yield Way(ports=(action.port,), rewritten=dict(new))
        elif isinstance(action, UseGroup):
            yield from _group_ways(action, groups, new)


def _group_ways(
    use: UseGroup, groups: Mapping[int, Group], new: Mapping[Field, Value]
) -> Iterator[Way]:
    group = groups.get(use.group)
    if group is None:
        return
    found = [way for bucket in group.buckets for way in _ways(bucket.actions, groups, new)]
    if group.kind is GroupKind.FAILOVER and found:
        ports = tuple(port for way in found for port in way.ports)
        yield Way(ports=ports, rewritten=found[0].rewritten)
    else:
        yield from found


def _translated(action: Translate, known: _Known) -> str:
    then = f"then table {_TABLES.get(action.table, action.table)}"
    if not action.address:
        return f"translated as its connection is, {then}"
    where = known.addresses.of(action.address, action.port)
    return f"its connection is led to {where}, {then}"


def _words(rule: Rule, stream: str, ways: Sequence[Way], known: _Known) -> str:
    on = [f"then table {_TABLES.get(rule.goto, rule.goto)}"] if rule.goto is not None else []
    if rule.priority == 0 and not rule.match:
        return f"what no rule above is for: {on[0] if on else 'sinks'}"
    port = dict(rule.match).get(Field.IN_PORT)
    origin = f" {_origin(port, known.plugs)}" if isinstance(port, int) else ""
    said = ["known by addresses and ports"] if rule.metadata else []
    said += [f"held to the rate of meter {rule.meter}"] if rule.meter else []
    does = [_where(way, known.plugs) for way in ways]
    does += [_translated(a, known) for a in rule.actions if isinstance(a, Translate)]
    ends = [] if does or on else ["sinks"]
    return "; ".join([_whose(rule, stream, known) + origin, *said, *does, *on, *ends])


def _whose(rule: Rule, stream: str, known: _Known) -> str:
    if stream:
        return f"stream {stream}"
    if _number(rule):
        return "a stream that is not asked for"
    return border_words.whose(rule, known.addresses)


def _origin(port: int, plugs: Plugs) -> str:
    name = _name(port, plugs)
    near = {number: neighbour for neighbour, number in plugs.toward.items()}
    return f"by the tunnel from {near[port]}" if port in near else f"from {name}"


def _where(way: Way, plugs: Plugs) -> str:
    first, *spares = [_name(port, plugs) for port in way.ports]
    text = f"to {first}" + "".join(f", or while that is dead to {spare}" for spare in spares)
    address, port = way.rewritten.get(Field.IPV4_DST), way.rewritten.get(Field.UDP_DST)
    if address is None:
        return text
    return f"{text}, for {address}" + (f":{port}" if port is not None else "")


def _name(port: int, plugs: Plugs) -> str:
    names = {number: f"the tunnel to {near}" for near, number in plugs.toward.items()}
    names |= {
        plugs.outside: "the network outside",
        plugs.inside: "the node's own processes",
        BACK: "where it came from",
    }
    return names.get(port, f"port {port}")
