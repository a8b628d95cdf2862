"""Umbel's rules, groups and meters as OpenFlow messages, and back, with os-ken's wire codec.

In: changes, and frames that frames.py let through. Out: message objects for one version, replies as
the network's own values. Nothing here sends.
"""

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, cast

from os_ken.ofproto import ofproto_protocol

from umbel.network.drivers.openflow import writing
from umbel.network.drivers.openflow.frames import V14, Frame, NotOpenFlow, readable
from umbel.network.switching.program import (
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
    Translate,
    UseGroup,
    Value,
)
from umbel.network.switching.signals import Port

_ORDER = {name.value: index for index, name in enumerate(Field)}
_ALL_BITS = 0xFFFFFFFFFFFFFFFF
_COMMIT, _NAT_DESTINATION = 1, 2  # NX_CT_F_COMMIT, NX_NAT_F_DST
_ZONE = 1
"""Ours, among the connections that the switch tracks."""


class _Foreign(Exception):
    """An entry that no program of ours holds."""


class Codec(ofproto_protocol.ProtocolDesc):  # type: ignore[misc]
    """One version of OpenFlow. os-ken's messages need it as their `datapath`."""

    ofproto: Any
    ofproto_parser: Any

    @property
    def bundles(self) -> bool:
        """Whether changes can be made all at once."""
        return bool(self.ofproto.OFP_VERSION >= V14)

    def decode(self, frame: Frame) -> Any:
        """os-ken's object for a message of a kind that we ask for. Raises NotOpenFlow."""
        if not readable(frame):
            raise NotOpenFlow
        try:
            return self.ofproto_parser.msg_parser(
                self, frame.version, frame.kind, len(frame.raw), frame.xid, frame.raw
            )
        except Exception:  # noqa: BLE001 - os-ken fails on bad bytes in every way there is
            raise NotOpenFlow from None

    def change(self, change: Put | Delete) -> Any:
        """The message that makes one change."""
        entry, o = change.entry, self.ofproto
        put, new = isinstance(change, Put), isinstance(change, Put) and change.new
        if isinstance(entry, Rule):
            return self._flow(entry, o.OFPFC_ADD if put else o.OFPFC_DELETE_STRICT)
        if isinstance(entry, Group):
            if not put:  # switches refuse to delete a group that is reported with its buckets
                return self._group(replace(entry, buckets=()), o.OFPGC_DELETE)
            return self._group(entry, o.OFPGC_ADD if new else o.OFPGC_MODIFY)
        put_meter = o.OFPMC_ADD if new else o.OFPMC_MODIFY
        return self._meter(entry, put_meter if put else o.OFPMC_DELETE)

    def packed(self, change: Put | Delete) -> bytes:
        """The same message as bytes, with 0 for its number."""
        entry = change.entry
        if isinstance(entry, Rule) and writing.writable(entry):
            return writing.flow(self.ofproto.OFP_VERSION, entry, put=isinstance(change, Put))
        return _bytes(self.change(change))

    def emptying(self) -> list[bytes]:
        """The messages that empty a switch."""
        o, p = self.ofproto, self.ofproto_parser
        messages = (
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
        )
        return [_bytes(message) for message in messages]

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
            match=p.OFPMatch(**{name.value: _masked(value) for name, value in rule.match}),
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
            elif isinstance(action, Translate):
                found.append(self._translate(action))
            else:
                found.append(p.OFPActionGroup(action.group))
        return found

    def _translate(self, action: Translate) -> Any:
        p = self.ofproto_parser
        there = {}
        if action.address:
            there = {"range_ipv4_min": action.address, "range_proto_min": action.port}
        nat = p.NXActionNAT(_NAT_DESTINATION if there else 0, **there)
        flags = _COMMIT if there else 0
        return p.NXActionCT(flags, "", _ZONE, action.table, 0, [nat])

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
        return tuple((Field(name), _unmasked(value)) for name, value in fields)

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
            elif isinstance(action, p.NXActionCT):
                found.append(self._to_translate(action))
            else:
                raise _Foreign
        return tuple(found)

    def _to_translate(self, action: Any) -> Translate:
        (nat,) = action.actions
        found = Translate(
            table=action.recirc_table,
            address=nat.range_ipv4_min,
            port=nat.range_proto_min or 0,
        )
        ours = self._translate(found)
        if (action.flags, action.zone_src, action.zone_ofs_nbits, action.alg, nat.flags) != (
            *(ours.flags, ours.zone_src, ours.zone_ofs_nbits, ours.alg),
            ours.actions[0].flags,
        ):
            raise _Foreign
        return found

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


def _bytes(message: Any) -> bytes:
    message.set_xid(0)
    message.serialize()
    return bytes(message.buf)


def _masked(value: Value) -> Any:
    """As os-ken takes it: a network is an address and a mask."""
    if not isinstance(value, str) or "/" not in value:
        return value
    return tuple(ipaddress.IPv4Network(value).with_netmask.split("/"))


def _unmasked(value: Any) -> Value:
    if not isinstance(value, tuple):
        return cast(Value, value)
    address, mask = value
    if not isinstance(address, str) or not isinstance(mask, str):
        raise _Foreign
    return str(ipaddress.IPv4Network(f"{address}/{mask}"))
