"""Umbel's rules, groups and meters as OpenFlow messages, and back, with os-ken's wire codec.

In: changes, and frames that frames.py let through. Out: message objects for one version, replies as
the network's own values. Nothing here sends.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from os_ken.ofproto import ofproto_protocol

from umbel.network.drivers.openflow.frames import V14, Frame, Garbage, readable
from umbel.network.model import (
    Action,
    Bucket,
    Delete,
    Field,
    Group,
    GroupKind,
    Match,
    Meter,
    Output,
    Program,
    Put,
    Rule,
    SetField,
    UseGroup,
)
from umbel.network.signals import Port

_ORDER = {name.value: index for index, name in enumerate(Field)}
_ALL_BITS = 0xFFFFFFFFFFFFFFFF


class _Foreign(Exception):
    """An entry that no program of ours holds."""


class Codec(ofproto_protocol.ProtocolDesc):  # type: ignore[misc]
    """One version of OpenFlow. os-ken's messages want to be told it as their `datapath`."""

    ofproto: Any
    ofproto_parser: Any

    @property
    def bundles(self) -> bool:
        """Whether changes can be made all at once."""
        return bool(self.ofproto.OFP_VERSION >= V14)

    def decode(self, frame: Frame) -> Any:
        """os-ken's object for a message of a kind that we ask for. Raises Garbage."""
        if not readable(frame):
            raise Garbage
        try:
            return self.ofproto_parser.msg_parser(
                self, frame.version, frame.kind, len(frame.raw), frame.xid, frame.raw
            )
        except Exception:  # noqa: BLE001 - os-ken fails on bad bytes in every way there is
            raise Garbage from None

    def change(self, change: Put | Delete) -> Any:
        """The message that makes one change."""
        entry, o = change.entry, self.ofproto
        put, new = isinstance(change, Put), isinstance(change, Put) and change.new
        if isinstance(entry, Rule):
            return self._flow(entry, o.OFPFC_ADD if put else o.OFPFC_DELETE_STRICT)
        if isinstance(entry, Group):
            if not put:  # switches refuse to delete a group that is told with its buckets
                return self._group(replace(entry, buckets=()), o.OFPGC_DELETE)
            return self._group(entry, o.OFPGC_ADD if new else o.OFPGC_MODIFY)
        put_meter = o.OFPMC_ADD if new else o.OFPMC_MODIFY
        return self._meter(entry, put_meter if put else o.OFPMC_DELETE)

    def clear(self) -> list[Any]:
        """The messages that empty a switch."""
        o, p = self.ofproto, self.ofproto_parser
        return [
            p.OFPFlowMod(
                self,
                table_id=o.OFPTT_ALL,
                command=o.OFPFC_DELETE,
                out_port=o.OFPP_ANY,
                out_group=o.OFPG_ANY,
                match=p.OFPMatch(),
            ),
            p.OFPGroupMod(self, o.OFPGC_DELETE, o.OFPGT_ALL, o.OFPG_ALL, []),
            p.OFPMeterMod(self, o.OFPMC_DELETE, 0, o.OFPM_ALL, []),
        ]

    def port(self, desc: Any) -> Port:
        """A port as its description says."""
        up = not desc.state & self.ofproto.OFPPS_LINK_DOWN
        live = up and bool(desc.state & self.ofproto.OFPPS_LIVE)
        return Port(number=desc.port_no, name=desc.name.decode("ascii", "replace"), live=live)

    def program(
        self, flows: Iterable[Any], groups: Iterable[Any], meters: Iterable[Any]
    ) -> Program | None:
        """What a switch says it holds; None when there is something that Umbel never puts."""
        try:
            return Program(
                rules=frozenset(self._to_rule(stats) for stats in flows),
                groups=frozenset(self._to_group(desc) for desc in groups),
                meters=frozenset(self._to_meter(config) for config in meters),
            )
        except (_Foreign, KeyError, ValueError):
            return None

    def _flow(self, rule: Rule, command: int) -> Any:
        o, p = self.ofproto, self.ofproto_parser
        instructions = [p.OFPInstructionMeter(rule.meter)] if rule.meter else []
        if rule.actions:
            actions = self._actions(rule.actions)
            instructions.append(p.OFPInstructionActions(o.OFPIT_APPLY_ACTIONS, actions))
        if rule.metadata:
            instructions.append(p.OFPInstructionWriteMetadata(rule.metadata, _ALL_BITS))
        if rule.goto is not None:
            instructions.append(p.OFPInstructionGotoTable(rule.goto))
        return p.OFPFlowMod(
            self,
            table_id=rule.table,
            command=command,
            priority=rule.priority,
            out_port=o.OFPP_ANY,
            out_group=o.OFPG_ANY,
            match=p.OFPMatch(**{name.value: value for name, value in rule.match}),
            instructions=instructions,
        )

    def _group(self, group: Group, command: int) -> Any:
        o, p = self.ofproto, self.ofproto_parser
        kind = o.OFPGT_ALL if group.kind is GroupKind.ALL else o.OFPGT_FF
        buckets = [
            p.OFPBucket(
                watch_port=bucket.watch or o.OFPP_ANY,
                watch_group=o.OFPG_ANY,
                actions=self._actions(bucket.actions),
            )
            for bucket in group.buckets
        ]
        return p.OFPGroupMod(self, command, kind, group.id, buckets)

    def _meter(self, meter: Meter, command: int) -> Any:
        o, p = self.ofproto, self.ofproto_parser
        bands = [p.OFPMeterBandDrop(rate=meter.kbps, burst_size=meter.burst_kb)]
        return p.OFPMeterMod(self, command, o.OFPMF_KBPS | o.OFPMF_BURST, meter.id, bands)

    def _actions(self, actions: Sequence[Action]) -> list[Any]:
        p = self.ofproto_parser
        found = []
        for action in actions:
            if isinstance(action, Output):
                found.append(p.OFPActionOutput(action.port))
            elif isinstance(action, SetField):
                found.append(p.OFPActionSetField(**{action.field.value: action.value}))
            else:
                found.append(p.OFPActionGroup(action.group))
        return found

    def _to_rule(self, stats: Any) -> Rule:
        p = self.ofproto_parser
        parts: dict[str, Any] = {}
        for part in stats.instructions:
            if isinstance(part, p.OFPInstructionActions):
                parts["actions"] = self._to_actions(part.actions)
            elif isinstance(part, p.OFPInstructionWriteMetadata):
                parts["metadata"] = part.metadata
            elif isinstance(part, p.OFPInstructionMeter):
                parts["meter"] = part.meter_id
            elif isinstance(part, p.OFPInstructionGotoTable):
                parts["goto"] = part.table_id
            else:
                raise _Foreign
        match = self._to_match(stats.match)
        return Rule(table=stats.table_id, priority=stats.priority, match=match, **parts)

    def _to_match(self, match: Any) -> Match:
        fields = sorted(match.items(), key=lambda item: _ORDER[item[0]])
        if any(isinstance(value, tuple) for _, value in fields):
            raise _Foreign  # masked
        return tuple((Field(name), value) for name, value in fields)

    def _to_actions(self, actions: Iterable[Any]) -> tuple[Action, ...]:
        p = self.ofproto_parser
        found: list[Action] = []
        for action in actions:
            if isinstance(action, p.OFPActionOutput):
                found.append(Output(port=action.port))
            elif isinstance(action, p.OFPActionGroup):
                found.append(UseGroup(group=action.group_id))
            elif isinstance(action, p.OFPActionSetField):
                found.append(SetField(field=Field(action.key), value=action.value))
            else:
                raise _Foreign
        return tuple(found)

    def _to_group(self, desc: Any) -> Group:
        o = self.ofproto
        kinds = {o.OFPGT_ALL: GroupKind.ALL, o.OFPGT_FF: GroupKind.FAILOVER}
        buckets = tuple(
            Bucket(
                actions=self._to_actions(bucket.actions),
                watch=0 if bucket.watch_port == o.OFPP_ANY else bucket.watch_port,
            )
            for bucket in desc.buckets
        )
        return Group(id=desc.group_id, kind=kinds[desc.type], buckets=buckets)

    def _to_meter(self, config: Any) -> Meter:
        (band,) = config.bands
        return Meter(id=config.meter_id, kbps=band.rate, burst_kb=band.burst_size)
