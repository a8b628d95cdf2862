"""What every switch must hold so that streams follow their paths and nothing else. Pure.

In: carriages (stream, tree, paths, functions, a move) and how the switches are plugged. Out: rules,
groups and meters by switch, in the tables of switching/tables.py. switching/diff.py orders
what is to be installed of them.

Failover is local: the switch above a lost link sends over its own spare link into the lost part of
the tree, which is then fed from there, upwards too. What no adjacent spare link can mend is mended
by a new tree (spanning.without).
"""

import ipaddress
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise

from umbel.network.overlay import returns, streams
from umbel.network.overlay.streams import Receiver, RoutedStream
from umbel.network.switching.port_map import PortMap, Side
from umbel.network.switching.program import (
    BACK,
    Action,
    Bucket,
    Field,
    Group,
    GroupKind,
    Match,
    Meter,
    Output,
    Program,
    Rule,
    SetField,
    UseGroup,
    Value,
)
from umbel.network.switching.tables import USED, Table, misses

_IPV4, _UDP = 0x0800, 17
_IPV4_PACKET: Match = ((Field.ETH_TYPE, _IPV4),)
_UDP_PACKET: Match = (*_IPV4_PACKET, (Field.IP_PROTO, _UDP))
_BRANCH, _FAILOVER, _RECEIVERS, _FUNCTION = 0, 1, 2, 3  # what a group is for: part of its id
_BROADCAST = ipaddress.IPv4Address("255.255.255.255")


def programs(
    routed_streams: Sequence[RoutedStream], switches: Mapping[str, PortMap]
) -> dict[str, Program]:
    """What each switch is to hold to carry these streams. A spare link is used where it is plugged
    on both sides.

    Raises BadCarriage with every problem in `problems`.
    """
    streams.check(routed_streams, switches)
    drafts = {node: _Draft(rules=set(misses())) for node in switches}
    for routed in routed_streams:
        _StreamCompiler(routed, switches, drafts).compile()
    return {node: draft.program for node, draft in drafts.items()}


def spares(routed: RoutedStream, switches: Mapping[str, PortMap]) -> dict[str, tuple[str, ...]]:
    """For each node whose link to its parent can fail over at once: the nodes that its parent then
    sends to instead, best first."""
    return _StreamShape(routed, switches).spares


@dataclass
class _Draft:
    rules: set[Rule]
    groups: set[Group] = field(default_factory=set)
    meters: set[Meter] = field(default_factory=set)

    @property
    def program(self) -> Program:
        return Program(
            rules=frozenset(self.rules),
            groups=frozenset(self.groups),
            meters=frozenset(self.meters),
        )


class _StreamShape:
    """Which tree links a stream needs, and which spare links can stand in for them."""

    def __init__(self, routed: RoutedStream, switches: Mapping[str, PortMap]) -> None:
        self._routed = routed
        self._tree = routed.tree
        self._switches = switches

    @cached_property
    def ends(self) -> Mapping[str, frozenset[str]]:
        """The leaves to be served at or below each node on a way to one."""
        found: dict[str, set[str]] = defaultdict(set)
        for leaf in self._routed.leaves:
            for node in self._tree.chain(leaf):
                found[node].add(leaf)
        return {node: frozenset(leaves) for node, leaves in found.items()}

    @cached_property
    def below(self) -> Mapping[str, list[str]]:
        """Each node's children that lead to a leaf."""
        found: dict[str, list[str]] = defaultdict(list)
        for parent, child in self._tree.links:
            if child in self.ends:
                found[parent].append(child)
        return found

    @cached_property
    def functions(self) -> Mapping[str, int]:
        """The functions that the stream meets below the root."""
        return {
            node: port
            for node, port in self._routed.functions.items()
            if node in self.ends and node != self._tree.root
        }

    @cached_property
    def spares(self) -> dict[str, tuple[str, ...]]:
        found: dict[str, list[str]] = defaultdict(list)
        for link in self._tree.redundant:
            for above, below in (link, link[::-1]):
                chain = self._tree.chain(below)
                if above not in chain or not self._plugged(above, below):
                    continue
                lost = chain[chain.index(above) + 1 :]
                # Above where the spare link comes in, packets run against the tree, and a function
                # there would send what it makes back to nodes that have it.
                passive = not any(node in self.functions for node in lost[:-1])
                whole = all(self._plugged(a, b) for a, b in pairwise(lost))
                if self.ends.get(lost[0]) and passive and whole:
                    found[lost[0]].append(below)
        return {node: tuple(others) for node, others in found.items()}

    @cached_property
    def arrivals(self) -> Mapping[str, dict[str, bool]]:
        """For each node, the neighbours its packets may come from, and whether they must then go on
        towards the root."""
        found: dict[str, dict[str, bool]] = defaultdict(dict)
        for node in self.ends:
            if node != self._tree.root:
                found[node][self._tree.parents[node]] = False
        for lost, entries in self.spares.items():
            for entry in entries:
                self._against(lost, entry, found)
        return found

    def _against(self, lost: str, entry: str, found: Mapping[str, dict[str, bool]]) -> None:
        """Packets come in at `entry` and go up as far as leaves below `lost` need it."""
        chain = self._tree.chain(entry)
        came, node = self._tree.parents[lost], entry
        for above in reversed(chain[chain.index(lost) : -1]):
            up = self.ends[lost] != self.ends.get(node, frozenset())
            found[node][came] = found[node].get(came, False) or up
            if not up:
                return
            came, node = node, above
        found[node].setdefault(came, False)

    def _plugged(self, a: str, b: str) -> bool:
        return all(
            here in self._switches and there in self._switches[here].tunnel_ports
            for here, there in ((a, b), (b, a))
        )

    def sourced(self, node: str) -> bool:
        """Whether packets come to the node as the source sent them: no function is on the way."""
        above = self._tree.chain(node)[:-1]
        return not any(name in self.functions for name in above)


class _StreamCompiler:
    """Writes one stream's rules into the switches' drafts."""

    def __init__(
        self, routed: RoutedStream, switches: Mapping[str, PortMap], drafts: Mapping[str, _Draft]
    ) -> None:
        self._routed = routed
        self._stream = routed.stream
        self._packets = _UDP_PACKET if routed.stream.port else _IPV4_PACKET
        self._tree = routed.tree
        self._switches = switches
        self._drafts = drafts
        self._shape = _StreamShape(routed, switches)

    def compile(self) -> None:
        root = self._tree.root
        if root in self._shape.ends:
            entry = self._routed.functions.get(root, self._switches[root].patch_port)
            self._enter(root, entry, sourced=True)
            self._on(root, entry, self._hops(root))
            self._deliver(root, entry)
        for node, came_from in self._shape.arrivals.items():
            for neighbour, up in came_from.items():
                self._arrive(node, neighbour, up)
            if node in self._shape.functions:
                self._emit(node, self._shape.functions[node])
            self._deliver(node, self._shape.functions.get(node, 0))
        for node, rule in returns.rules(self._routed, self._switches):
            self._drafts[node].rules.add(rule)

    def _arrive(self, node: str, neighbour: str, up: bool) -> None:
        port = self._switches[node].tunnel_ports[neighbour]
        self._classify(node, port, sourced=self._shape.sourced(node))
        upward = [Output(port=self._toward(node, self._tree.parents[node]))] if up else []
        if node in self._shape.functions:
            goto = Table.PATH if upward else None
            self._redirect(node, port, self._shape.functions[node], goto)
            if upward:
                self._path(node, port, upward, None)
            return
        hops = [*self._hops(node, neighbour), *upward]
        clone_port = self._routed.clone_port(node)
        if clone_port:
            self._redirect(node, port, clone_port, Table.PATH if hops else None)
            if hops:
                self._path(node, port, hops, None)
            return
        self._on(node, port, hops)

    def _emit(self, node: str, port: int) -> None:
        """What the function sends goes on to the nodes below and out at a leaf."""
        self._enter(node, port, sourced=False)
        self._on(node, port, self._hops(node))

    def _deliver(self, node: str, entry: int) -> None:
        """At a leaf: to the receivers. `entry` is the port of the function whose packets they get;
        0: they come by tunnels."""
        clone_port, receivers = self._routed.clone_port(node), self._reached(node, node)
        if clone_port and self._routed.move:
            receivers = self._reached(node, self._routed.move.source)
            if receivers:
                entry = clone_port
                self._enter(node, clone_port, sourced=False)
        if not receivers:
            return
        jumps = [self._jump(node, receiver, entry) for receiver in receivers]
        actions = jumps[0] if len(jumps) == 1 else self._fan(node, _RECEIVERS, 0, jumps)
        self._rule(node, Table.LEAF, self._marked(), actions)

    def _reached(self, node: str, leaf: str) -> tuple[Receiver, ...]:
        """Who takes the stream at a leaf, seen from a node: no guest whose port is not there."""
        switch = self._switches[node]
        return tuple(one for one in self._routed.receivers(leaf) if one.exit(switch)[0])

    def _enter(self, node: str, port: int, *, sourced: bool) -> None:
        self._classify(node, port, sourced=sourced)
        kind = self._stream.slice
        if kind is None:
            return
        self._drafts[node].meters.add(Meter(id=kind.number, kbps=kind.kbps, burst_kb=kind.burst_kb))
        self._drafts[node].rules.add(
            Rule(
                table=Table.SLICES,
                priority=USED,
                match=((Field.IN_PORT, port), *self._marked()),
                actions=(SetField(field=Field.IP_DSCP, value=kind.dscp),),
                meter=kind.number,
                goto=Table.REDIRECT,
            )
        )

    def _classify(self, node: str, port: int, *, sourced: bool) -> None:
        stream = self._stream
        asked: dict[Field, Value] = {Field.IN_PORT: port, **dict(self._packets)}
        if sourced and stream.source:
            asked[Field.IPV4_SRC] = stream.source
        asked[Field.IPV4_DST] = stream.target
        if sourced and stream.source_port and stream.port:
            asked[Field.UDP_SRC] = stream.source_port
        if stream.port:
            asked[Field.UDP_DST] = stream.port
        self._drafts[node].rules.add(
            Rule(
                table=Table.CLASSIFIER,
                priority=USED,
                match=tuple(asked.items()),
                metadata=stream.number,
                goto=Table.SLICES,
            )
        )

    def _on(self, node: str, port: int, hops: Sequence[Action]) -> None:
        """By the path's hops and, at a leaf that serves receivers, on to them."""
        if hops:
            leaf = Table.LEAF if self._reached(node, node) else None
            self._path(node, port, hops, leaf)

    def _redirect(self, node: str, port: int, function: int, goto: Table | None) -> None:
        host = self._routed.processes.get(node)
        if host is None:
            self._rule(node, Table.REDIRECT, self._at(port), [Output(port=function)], goto)
            return
        # What also goes on from here must be as it came: the copy alone is rewritten.
        copy = self._fan(node, _FUNCTION, port, [self._jump(node, host, 0)])
        match = (*self._at(port), *self._packets)
        self._rule(node, Table.REDIRECT, match, copy, goto)

    def _path(self, node: str, port: int, hops: Sequence[Action], goto: Table | None) -> None:
        several = self._fan(node, _BRANCH, port, [[hop] for hop in hops]) if len(hops) > 1 else hops
        self._rule(node, Table.PATH, self._at(port), several, goto)

    def _hops(self, node: str, came: str = "") -> list[Action]:
        """To each node below that leads to a leaf, except where the packet came from."""
        below = self._shape.below.get(node, ())
        return [self._down(node, child) for child in below if child != came]

    def _down(self, node: str, child: str) -> Action:
        port = self._toward(node, child)
        entries = self._shape.spares.get(child, ())
        if not entries:
            return Output(port=port)
        ports = [port, *(self._toward(node, entry) for entry in entries)]
        buckets = tuple(Bucket(actions=(Output(port=p),), watch=p) for p in ports)
        return self._group(node, _FAILOVER, port, buckets, GroupKind.FAILOVER)

    def _fan(
        self, node: str, use: int, port: int, branches: Sequence[Sequence[Action]]
    ) -> list[Action]:
        buckets = tuple(Bucket(actions=tuple(branch)) for branch in branches)
        return [self._group(node, use, port, buckets, GroupKind.ALL)]

    def _group(
        self, node: str, use: int, port: int, buckets: tuple[Bucket, ...], kind: GroupKind
    ) -> UseGroup:
        number = self._stream.number << 16 | use << 14 | port
        self._drafts[node].groups.add(Group(id=number, kind=kind, buckets=buckets))
        return UseGroup(group=number)

    def _jump(self, node: str, receiver: Receiver, entry: int) -> list[Action]:
        switch = self._switches[node]
        within = receiver.side is Side.INSIDE
        port, mac = receiver.exit(switch)
        new: dict[Field, Value] = {Field.ETH_DST: mac}
        source = self._source_within() if within else switch.source_address
        if source:
            new[Field.IPV4_SRC] = source
        new[Field.IPV4_DST] = receiver.address
        if receiver.port:
            new[Field.UDP_DST] = receiver.port
        sets: list[Action] = [SetField(field=name, value=value) for name, value in new.items()]
        return [*sets, Output(port=BACK if port == entry else port)]

    def _source_within(self) -> str:
        """Whom a node's processes see as the sender: the stream's own address, for no host takes a
        packet whose source is the host itself. Empty, the sender itself: no host sends from such an
        address, or the packets are to be answered."""
        target = ipaddress.IPv4Address(self._stream.target)
        bindings = target.is_multicast or target == _BROADCAST or not self._stream.port
        return "" if bindings else self._stream.target

    def _rule(
        self,
        node: str,
        table: Table,
        match: Match,
        actions: Sequence[Action],
        goto: Table | None = None,
    ) -> None:
        self._drafts[node].rules.add(
            Rule(table=table, priority=USED, match=match, actions=tuple(actions), goto=goto)
        )

    def _at(self, port: int) -> Match:
        return ((Field.IN_PORT, port), (Field.METADATA, self._stream.number))

    def _marked(self) -> Match:
        return ((Field.METADATA, self._stream.number), *self._packets)

    def _toward(self, node: str, neighbour: str) -> int:
        return self._switches[node].tunnel_ports[neighbour]
