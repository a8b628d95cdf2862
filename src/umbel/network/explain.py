"""Every rule in words: whose packets it is for, which step of the pipeline, where they go. Pure.

In: what a switch holds, how it is plugged, the streams that are asked for, and the borders. Out: a
line a rule.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from umbel.network import border_words
from umbel.network.borders import Borders
from umbel.network.model import (
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
from umbel.network.overlay import Overlay
from umbel.network.pipeline import Table
from umbel.network.sites import Plugs

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
class _Known:
    """What rules of a switch are understood by."""

    plugs: Plugs
    overlay: Overlay
    streams: Mapping[int, str]
    groups: Mapping[int, Group]
    addresses: border_words.Names


def explain(
    node: str, held: Program, plugs: Plugs, overlay: Overlay, borders: Borders = _NO_BORDERS
) -> tuple[Explained, ...]:
    """Every rule the switch holds, in the pipeline's order. `borders` are those it has, if any."""
    known = _Known(
        plugs=plugs,
        overlay=overlay,
        streams={wish.stream.number: name for name, wish in overlay.wishes.items()},
        groups={group.id: group for group in held.groups},
        addresses=border_words.names(borders, node),
    )
    rules = sorted(held.rules, key=lambda rule: (rule.table, -rule.priority, repr(rule.match)))
    return tuple(_one(node, rule, known) for rule in rules)


def _one(node: str, rule: Rule, known: _Known) -> Explained:
    stream = known.streams.get(_number(rule), "")
    ways = tuple(_ways(rule.actions, known.groups, {}))
    root, leaves = _place(known.overlay, stream, node)
    return Explained(
        node=node,
        rule=rule,
        step=_TABLES.get(rule.table, f"table {rule.table}"),
        stream=stream,
        root=root,
        leaves=leaves,
        ways=ways,
        words=_words(rule, stream, ways, known),
    )


def _number(rule: Rule) -> int:
    """The number of the stream it is for, 0 where it is for none."""
    asked = dict(rule.match).get(Field.METADATA, 0)
    return rule.metadata or (asked if isinstance(asked, int) else 0)


def _place(overlay: Overlay, stream: str, node: str) -> tuple[str, tuple[str, ...]]:
    if not stream or not overlay.has(overlay.wishes[stream].root):
        return "", ()
    tree = overlay.tree(stream)
    on_way = (leaf for leaf in sorted(overlay.wishes[stream].leaves) if leaf in tree.nodes)
    return tree.root, tuple(leaf for leaf in on_way if node in tree.chain(leaf))


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
