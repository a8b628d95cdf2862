"""Every rule in words: whose packets it is for, which step of the pipeline, where they go. Pure.

In: what a switch holds, how it is plugged, the streams that are asked for, and the borders. Out: a
line a rule.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from umbel.network.edge import explain as border_words
from umbel.network.edge.compiler import EdgeState
from umbel.network.overlay.intent import Overlay
from umbel.network.switching.port_map import PortMap
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
from umbel.network.switching.tables import STEPS, PipelineStep

_NO_BORDERS = EdgeState()


@dataclass(frozen=True, kw_only=True)
class PacketCopy:
    """One copy that leaves: by the first live one of `ports`, with these fields rewritten."""

    ports: tuple[int, ...]
    rewritten: Mapping[Field, Value] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ExplainedRule:
    """A rule of a node's switch: the stream it serves (empty: none), the tree's root, the leaves
    of the paths that lead through the node, and what it does, in words."""

    node: str
    rule: Rule
    step: PipelineStep
    stream: str = ""
    root: str = ""
    leaves: tuple[str, ...] = ()
    copies: tuple[PacketCopy, ...] = ()
    text: str = ""


@dataclass(frozen=True, kw_only=True)
class StreamReach:
    """Where a stream goes: its tree's root, and by node the leaves of the paths through it."""

    root: str = ""
    leaves: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


_NOWHERE = StreamReach()


@dataclass(frozen=True, kw_only=True)
class RuleIndex:
    """What all switches' rules are understood by: streams by their numbers and names, borders."""

    streams: Mapping[int, str]
    reaches: Mapping[str, StreamReach]
    edge: EdgeState


@dataclass(frozen=True, kw_only=True)
class _SwitchIndex:
    """What one switch's rules are understood by."""

    index: RuleIndex
    port_map: PortMap
    groups: Mapping[int, Group]
    addresses: border_words.Names


def index(overlay: Overlay, edge: EdgeState = _NO_BORDERS) -> RuleIndex:
    """What is asked for now."""
    intents = overlay.intents
    return RuleIndex(
        streams={intent.stream.number: name for name, intent in intents.items()},
        reaches={name: _reach(overlay, name) for name in intents if overlay.carries(name)},
        edge=edge,
    )


def explain(
    node: str, held: Program, port_map: PortMap, by: RuleIndex
) -> tuple[ExplainedRule, ...]:
    """Every rule the switch holds, in the pipeline's order."""
    known = _SwitchIndex(
        index=by,
        port_map=port_map,
        groups={group.id: group for group in held.groups},
        addresses=border_words.names(by.edge, node),
    )
    rules = sorted(held.rules, key=lambda rule: (rule.table, -rule.priority, repr(rule.match)))
    return tuple(_one(node, rule, known) for rule in rules)


def _one(node: str, rule: Rule, known: _SwitchIndex) -> ExplainedRule:
    stream = known.index.streams.get(_number(rule), "")
    copies = tuple(_copies(rule.actions, known.groups, {}))
    reach = known.index.reaches.get(stream, _NOWHERE)
    return ExplainedRule(
        node=node,
        rule=rule,
        step=STEPS.get(rule.table, PipelineStep.OTHER),
        stream=stream,
        root=reach.root,
        leaves=reach.leaves.get(node, ()),
        copies=copies,
        text=_words(rule, stream, copies, known),
    )


def _number(rule: Rule) -> int:
    """The number of the stream it is for, 0 where it is for none."""
    index = dict(rule.match).get(Field.METADATA, 0)
    return rule.metadata or (index if isinstance(index, int) else 0)


def _reach(overlay: Overlay, stream: str) -> StreamReach:
    tree, leaves = overlay.tree(stream), overlay.intents[stream].leaves
    through: dict[str, list[str]] = {}
    for leaf in sorted(leaves & tree.depths.keys()):
        for node in tree.chain(leaf):
            through.setdefault(node, []).append(leaf)
    return StreamReach(
        root=tree.root, leaves={node: tuple(found) for node, found in through.items()}
    )


def _copies(
    actions: Sequence[Action], groups: Mapping[int, Group], before: Mapping[Field, Value]
) -> Iterator[PacketCopy]:
    new = dict(before)
    for action in actions:
        if isinstance(action, SetField):
            new[action.field] = action.value
        elif isinstance(action, Output):
            yield PacketCopy(ports=(action.port,), rewritten=dict(new))
        elif isinstance(action, UseGroup):
            yield from _group_copies(action, groups, new)


def _group_copies(
    use: UseGroup, groups: Mapping[int, Group], new: Mapping[Field, Value]
) -> Iterator[PacketCopy]:
    group = groups.get(use.group)
    if group is None:
        return
    found = [copy for bucket in group.buckets for copy in _copies(bucket.actions, groups, new)]
    if group.kind is GroupKind.FAILOVER and found:
        ports = tuple(port for copy in found for port in copy.ports)
        yield PacketCopy(ports=ports, rewritten=found[0].rewritten)
    else:
        yield from found


def _translated(action: Translate, known: _SwitchIndex) -> str:
    then = f"then table {STEPS.get(action.table, action.table)}"
    if not action.address:
        return f"translated as its connection is, {then}"
    where = known.addresses.of(action.address, action.port)
    return f"its connection is led to {where}, {then}"


def _words(rule: Rule, stream: str, copies: Sequence[PacketCopy], known: _SwitchIndex) -> str:
    on = [f"then table {STEPS.get(rule.goto, rule.goto)}"] if rule.goto is not None else []
    if rule.priority == 0 and not rule.match:
        return f"what no rule above is for: {on[0] if on else 'dropped'}"
    port = dict(rule.match).get(Field.IN_PORT)
    origin = f" {_origin(port, known.port_map)}" if isinstance(port, int) else ""
    said = ["known by addresses and ports"] if rule.metadata else []
    said += [f"held to the rate of meter {rule.meter}"] if rule.meter else []
    does = [_where(copy, known.port_map) for copy in copies]
    does += [_translated(a, known) for a in rule.actions if isinstance(a, Translate)]
    ends = [] if does or on else ["dropped"]
    return "; ".join([_whose(rule, stream, known) + origin, *said, *does, *on, *ends])


def _whose(rule: Rule, stream: str, known: _SwitchIndex) -> str:
    if stream:
        return f"stream {stream}"
    if _number(rule):
        return "a stream that is not asked for"
    return border_words.whose(rule, known.addresses)


def _origin(port: int, port_map: PortMap) -> str:
    name = _name(port, port_map)
    near = {number: neighbour for neighbour, number in port_map.tunnel_ports.items()}
    return f"by the tunnel from {near[port]}" if port in near else f"from {name}"


def _where(copy: PacketCopy, port_map: PortMap) -> str:
    first, *spares = [_name(port, port_map) for port in copy.ports]
    text = f"to {first}" + "".join(f", or while that is dead to {spare}" for spare in spares)
    address, port = copy.rewritten.get(Field.IPV4_DST), copy.rewritten.get(Field.UDP_DST)
    if address is None:
        return text
    return f"{text}, for {address}" + (f":{port}" if port is not None else "")


def _name(port: int, port_map: PortMap) -> str:
    names = {number: f"the tunnel to {near}" for near, number in port_map.tunnel_ports.items()}
    names |= {
        port_map.patch_port: "the network outside",
        port_map.local_port: "the node's own processes",
        BACK: "where it came from",
    }
    return names.get(port, f"port {port}")
