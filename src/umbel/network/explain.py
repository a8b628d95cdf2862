"""Every rule in words: whose packets it is for, which step of the pipeline, where they go. Pure.

In: what a switch holds, how it is plugged, and the streams that are asked for. Out: a line a rule.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

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

_BORDER = {Table.ACCESS, Table.SERVICES, Table.HOMES}


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


def explain(node: str, held: Program, plugs: Plugs, overlay: Overlay) -> tuple[Explained, ...]:
    """Every rule the switch holds, in the pipeline's order."""
    names = {wish.stream.number: name for name, wish in overlay.wishes.items()}
    groups = {group.id: group for group in held.groups}
    rules = sorted(held.rules, key=lambda rule: (rule.table, -rule.priority, repr(rule.match)))
    return tuple(_one(node, rule, groups, plugs, overlay, names) for rule in rules)


def _one(
    node: str,
    rule: Rule,
    groups: Mapping[int, Group],
    plugs: Plugs,
    overlay: Overlay,
    names: Mapping[int, str],
) -> Explained:
    stream = names.get(_number(rule), "")
    ways = tuple(_ways(rule.actions, groups, {}))
    tables = {table.value: table.name.lower() for table in Table}
    step = tables.get(rule.table, f"table {rule.table}")
    root, leaves = _place(overlay, stream, node)
    return Explained(
        node=node,
        rule=rule,
        step=step,
        stream=stream,
        root=root,
        leaves=leaves,
        ways=ways,
        words=_words(rule, stream, ways, plugs, tables),
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


def _translated(action: Translate, tables: Mapping[int, str]) -> str:
    then = f"then table {tables.get(action.table, action.table)}"
    if not action.address:
        return f"translated as its connection is, {then}"
    return f"its connection is led to {action.address}:{action.port}, {then}"


def _words(
    rule: Rule, stream: str, ways: Sequence[Way], plugs: Plugs, tables: Mapping[int, str]
) -> str:
    on = f"then table {tables.get(rule.goto, rule.goto)}" if rule.goto is not None else ""
    if rule.priority == 0 and not rule.match:
        return f"what no rule above is for: {on or 'sinks'}"
    port = dict(rule.match).get(Field.IN_PORT)
    whose = f"stream {stream}" if stream else _of_none(rule)
    parts = [whose + (f" {_origin(port, plugs)}" if isinstance(port, int) else "")]
    if rule.metadata:
        parts.append("known by addresses and ports")
    if rule.meter:
        parts.append(f"held to the rate of meter {rule.meter}")
    parts += [_where(way, plugs) for way in ways]
    parts += [_translated(a, tables) for a in rule.actions if isinstance(a, Translate)]
    return "; ".join([*parts, on] if on else parts)


def _of_none(rule: Rule) -> str:
    """Whose packets a rule is for that serves no stream: at a border, by what it matches."""
    if not {rule.table, rule.goto} & _BORDER:
        return "packets of no stream asked for"
    match = dict(rule.match)
    source = match.get(Field.IPV4_SRC) or match.get(Field.ARP_SPA)
    target = match.get(Field.IPV4_DST) or match.get(Field.ARP_TPA)
    said = "packets" if source is None else f"packets of {source}"
    if Field.ETH_SRC in match:
        said += f" ({match[Field.ETH_SRC]})"
    port = match.get(Field.TCP_DST) or match.get(Field.UDP_DST)
    if target is not None or port is not None:
        said += f" for {target or 'any address'}" + (f":{port}" if port is not None else "")
    return said


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
