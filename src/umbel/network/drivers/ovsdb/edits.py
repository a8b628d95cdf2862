"""The one transaction that turns what a switch has into what it is to have. Pure.

In: a replica and a layout. Out: operations (RFC 7047, section 5.2), none when all is there; and
afterwards whether vswitchd has made it so, and the ports. Columns that are right are not touched:
a controller that is set again would empty the switch's flow table.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from typing import Any

from umbel.network.drivers.ovsdb.layout import (
    CONTROLLER,
    GUEST_MAC,
    MARK,
    BridgePlan,
    Layout,
    PortPlan,
)
from umbel.network.drivers.ovsdb.replica import Replica, entries, number, text
from umbel.network.drivers.ovsdb.wire import Row, Uuid, Value, encode, many, one
from umbel.network.switching.port_map import GuestPort, guest_address

Operation = Mapping[str, Any]

_SHARED = frozenset({"other_config", "external_ids"})
"""Maps in which others keep their own keys."""
_FIRST_FREE, _FIRST_RESERVED = 10, 0x1000
"""Of numbers that ports ask for: those that are planned, and those of guests that are expected."""


def edits(replica: Replica, layout: Layout) -> list[Operation]:
    """The operations, empty when nothing is to be done."""
    draft = _Transaction(replica, layout.node)
    for plan in layout.bridges:
        draft.bridge(plan)
    draft.retire({plan.name for plan in layout.bridges})
    return draft.whole()


def removal(replica: Replica, node: str, names: Sequence[str]) -> list[Operation]:
    """The operations that remove these bridges, and what else we made for the node."""
    draft = _Transaction(replica, node)
    draft.retire(set(), names)
    return draft.whole()


def missing(replica: Replica, layout: Layout) -> dict[str, str]:
    """The interfaces that have no port number yet, and what vswitchd says of them."""
    found = {}
    for plan in layout.bridges:
        for port in plan.ports:
            row = (replica.named("Interface", port.name) or (None, {}))[1]
            if number(row, "ofport") <= 0:
                found[port.name] = text(row, "error")
    return found


def guests(replica: Replica, bridge: str) -> dict[str, GuestPort]:
    """The ports of guests that a bridge has, by the guests' addresses."""
    return {
        address: port
        for row in _ports(replica, bridge)
        for address, port in guest_ports(replica, row)
        if address
    }


def guest_ports(replica: Replica, port: Row) -> Iterator[tuple[str, GuestPort]]:
    """What of a port is a guest's: its address, empty before the port has a number."""
    for row in _interfaces(replica, port):
        mac = _mac(row)
        if address := guest_address(mac):
            of_number = number(row, "ofport")
            known = address if of_number > 0 else ""
            name = text(row, "name")
            yield known, GuestPort(number=of_number, mac=mac.lower(), device=name)


def reserved(
    replica: Replica, bridge: str, addresses: Sequence[str], before: Mapping[str, int]
) -> dict[str, int]:
    """The numbers that the ports of guests will have which are expected on the bridge, by their
    addresses: as `before`, else the first that is free. One that has a port has its number."""
    rows = [row for port in _ports(replica, bridge) for row in _interfaces(replica, port)]
    used = {number(row, column) for row in rows for column in ("ofport", "ofport_request")}
    kept = {address: before[address] for address in addresses if address in before}
    free = (one for one in count(_FIRST_RESERVED) if one not in used | {*kept.values()})
    there = {guest_address(_mac(row)) for row in rows}
    return {
        address: kept[address] if address in kept else next(free)
        for address in addresses
        if address in kept or address not in there
    }


def renumbering(replica: Replica, bridge: str, numbers: Mapping[str, int]) -> list[dict[str, Any]]:
    """The operations that ask for the numbers of guests' ports which came; empty when all have
    asked."""
    return [
        {
            "op": "update",
            "table": "Interface",
            "where": [["_uuid", "==", encode(uuid)]],
            "row": {"ofport_request": numbers[address]},
        }
        for port in _ports(replica, bridge)
        for uuid, row in replica.referred("Interface", port, "interfaces")
        if (address := guest_address(_mac(row))) in numbers and not number(row, "ofport_request")
    ]


def _ports(replica: Replica, bridge: str) -> Iterator[Row]:
    found = replica.named("Bridge", bridge)
    return (row for _, row in replica.referred("Port", found[1], "ports")) if found else iter(())


def _interfaces(replica: Replica, port: Row) -> Iterator[Row]:
    return (row for _, row in replica.referred("Interface", port, "interfaces"))


def _mac(interface: Row) -> str:
    return str(entries(interface, "external_ids").get(GUEST_MAC, ""))


class _Transaction:
    """The operations so far."""

    def __init__(self, replica: Replica, node: str) -> None:
        self._replica, self._node = replica, node
        self._operations: list[dict[str, Any]] = []
        self._names = count(1)

    def whole(self) -> list[Operation]:
        """With the sign for vswitchd that there is something to do."""
        if not self._operations or self._replica.root is None:
            return []
        bump = self._mutate("Open_vSwitch", self._replica.root[0], "next_cfg", "+=", 1)
        return [*self._operations, bump]

    def bridge(self, plan: BridgePlan) -> None:
        """The bridge is as planned."""
        found = self._replica.named("Bridge", plan.name)
        if found is None:
            self._new_bridge(plan)
            return
        uuid, row = found
        self._update("Bridge", uuid, row, plan.columns)
        have = {text(port, "name"): item for item in self._ports(row) for port in (item[1],)}
        numbers = _numbers(plan, self._interfaces(have))
        for port in plan.ports:
            if port.name in have:
                self._port(have[port.name][1], port, numbers[port.name])
        new = [p for p in plan.ports if p.name not in have]
        made = [self._new_port(port, numbers[port.name]) for port in new]
        self._members("Bridge", uuid, "ports", "insert", made)
        gone = [encode(i[0]) for name, i in have.items() if self._surplus(plan, name, i[1])]
        self._members("Bridge", uuid, "ports", "delete", gone)
        self._controller(uuid, row, plan)

    def retire(self, wanted: set[str], extra: Sequence[str] = ()) -> None:
        """Bridges that we made for the node and that are not wanted any more are gone, and those
        named extra."""
        if self._replica.root is None:
            return
        uuid, row = self._replica.root
        gone = [
            encode(bridge)
            for bridge, columns in self._replica.referred("Bridge", row, "bridges")
            if text(columns, "name") in extra
            or (self._ours(columns) and text(columns, "name") not in wanted)
        ]
        self._members("Open_vSwitch", uuid, "bridges", "delete", gone)

    def _ours(self, row: Row) -> bool:
        return entries(row, "external_ids").get(MARK) == self._node

    def _surplus(self, plan: BridgePlan, name: str, row: Row) -> bool:
        wanted = {plan.name, *(port.name for port in plan.ports)}
        guests = guest_ports(self._replica, row) if plan.has_guests else ()
        if any(port.number >= 0 for _, port in guests):  # one whose device is gone has -1
            return False
        return name not in wanted and (plan.ours or self._ours(row))

    def _ports(self, bridge: Row) -> Iterator[tuple[Uuid, Row]]:
        return self._replica.referred("Port", bridge, "ports")

    def _interfaces(self, ports: Mapping[str, tuple[Uuid, Row]]) -> dict[str, Row]:
        return {
            name: interface
            for name, (_, port) in ports.items()
            for _, interface in self._replica.referred("Interface", port, "interfaces")
        }

    def _port(self, row: Row, plan: PortPlan, of_number: int) -> None:
        for uuid, interface in self._replica.referred("Interface", row, "interfaces"):
            self._update("Interface", uuid, interface, _columns(plan, of_number))

    def _new_port(self, plan: PortPlan, of_number: int) -> list[str]:
        interface = self._insert("Interface", {"name": plan.name, **_columns(plan, of_number)})
        return self._insert(
            "Port",
            {"name": plan.name, "external_ids": {MARK: self._node}},
            {"interfaces": interface},
        )

    def _new_bridge(self, plan: BridgePlan) -> None:
        numbers = _numbers(plan, {})
        local = PortPlan(name=plan.name, interface={"type": "internal"})
        made = [self._new_port(p, numbers.get(p.name, 0)) for p in (local, *plan.ports)]
        links: dict[str, Any] = {"ports": ["set", made]}
        if plan.controller:
            links["controller"] = self._new_controller(plan.controller)
        bridge = self._insert("Bridge", {"name": plan.name, **plan.columns}, links)
        if self._replica.root is not None:
            self._members("Open_vSwitch", self._replica.root[0], "bridges", "insert", [bridge])

    def _new_controller(self, target: str) -> list[str]:
        return self._insert("Controller", {"target": target, **CONTROLLER})

    def _controller(self, bridge: Uuid, row: Row, plan: BridgePlan) -> None:
        """The first controller there is becomes the one wanted; others go."""
        have = sorted(
            self._replica.referred("Controller", row, "controller"),
            key=lambda item: text(item[1], "target") != plan.controller,
        )
        kept = have[:1] if plan.controller else []
        for uuid, columns in kept:
            self._update("Controller", uuid, columns, {"target": plan.controller, **CONTROLLER})
        gone = [encode(uuid) for uuid, _ in have[len(kept) :]]
        self._members("Bridge", bridge, "controller", "delete", gone)
        if plan.controller and not kept:
            made = [self._new_controller(plan.controller)]
            self._members("Bridge", bridge, "controller", "insert", made)

    def _insert(
        self, table: str, columns: Mapping[str, Value], links: Mapping[str, Any] | None = None
    ) -> list[str]:
        name = f"row{next(self._names)}"
        row = {column: encode(value) for column, value in columns.items()}
        self._operations.append(
            {"op": "insert", "table": table, "row": {**row, **(links or {})}, "uuid-name": name}
        )
        return ["named-uuid", name]

    def _update(self, table: str, uuid: Uuid, row: Row, want: Mapping[str, Value]) -> None:
        wrong = {
            column: encode(_whole(row, column, value))
            for column, value in want.items()
            if not _same(row.get(column, ()), _whole(row, column, value))
        }
        if wrong:
            where = [["_uuid", "==", encode(uuid)]]
            self._operations.append({"op": "update", "table": table, "where": where, "row": wrong})

    def _members(
        self, table: str, uuid: Uuid, column: str, mutator: str, members: Sequence[Any]
    ) -> None:
        if members:
            change = self._mutate(table, uuid, column, mutator, ["set", list(members)])
            self._operations.append(change)

    @staticmethod
    def _mutate(table: str, uuid: Uuid, column: str, mutator: str, value: Any) -> dict[str, Any]:
        where = [["_uuid", "==", encode(uuid)]]
        mutations = [[column, mutator, value]]
        return {"op": "mutate", "table": table, "where": where, "mutations": mutations}


def _columns(plan: PortPlan, of_number: int) -> dict[str, Value]:
    asked: dict[str, Value] = {"ofport_request": of_number} if of_number else {}
    return {**plan.interface, **asked}


def _numbers(plan: BridgePlan, have: Mapping[str, Row]) -> dict[str, int]:
    """The OpenFlow port each port asks for: those that are there keep theirs, so that rules stay
    true; others get the first that is free. Without numbers no port asks for one."""
    if not any(port.number for port in plan.ports):
        return {port.name: 0 for port in plan.ports}
    fixed = {port.name: port.number for port in plan.ports if port.number}
    found = dict(fixed)
    for port in plan.ports:
        asked = number(have.get(port.name, {}), "ofport_request")
        if port.name not in found and asked >= _FIRST_FREE and asked not in found.values():
            found[port.name] = asked
    used = {*found.values(), *(number(row, "ofport") for row in have.values())}
    free = (candidate for candidate in count(_FIRST_FREE) if candidate not in used)
    for port in plan.ports:
        if port.name not in found:
            found[port.name] = next(free)
    return found


def _whole(row: Row, column: str, want: Value) -> Value:
    """What the column is to be: where others have keys too, theirs stay."""
    if column in _SHARED and isinstance(want, Mapping):
        have = row.get(column, {})
        return {**have, **want} if isinstance(have, Mapping) else want
    return want


def _same(have: Value, want: Value) -> bool:
    if isinstance(want, Mapping):
        return isinstance(have, Mapping) and dict(have) == dict(want)
    if isinstance(want, tuple):
        return set(many(have)) == set(want)
    return one(have) == want
