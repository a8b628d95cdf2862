"""Borders as rows and back: what store.py keeps of gates, sign-ins, services and moves. Pure.

In: Borders. Out: a JSON document for each thing that can change by itself, by kind and name.
"""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from umbel.network.edge.compiler import Borders
from umbel.network.edge.gates import Access, Client, Door, Gate
from umbel.network.edge.roaming import Stay
from umbel.network.edge.virtual_services import Proto, Service, Surrogate

GATE, CLIENT, SERVICE, MOVE = "gate", "client", "service", "move"
Rows = Mapping[tuple[str, str], Mapping[str, Any]]
"""Documents by (kind, name)."""


def rows(borders: Borders) -> dict[tuple[str, str], dict[str, Any]]:
    """One for each gate (by its node), client (by node and address), service and move."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for node, gate in borders.access.gates.items():
        doors = [[door.address, door.port] for door in (gate.front, *gate.free)]
        found[GATE, node] = {"doors": doors}
    for node, clients in borders.access.clients.items():
        for client in clients.values():
            found[CLIENT, f"{node} {client.address}"] = {
                "mac": client.mac,
                "expires_s": client.expires_s,
                "who": client.who,
            }
    for service in borders.services.values():
        found[SERVICE, service.name] = _service_row(service)
    for stay in borders.stays.values():
        found[MOVE, stay.name] = {"address": stay.address, "mac": stay.mac, "way": list(stay.way)}
    return found


def borders(kept: Rows) -> Borders:
    """What `rows` was told."""
    gates: dict[str, Gate] = {}
    clients: dict[str, dict[str, Client]] = defaultdict(dict)
    services: dict[str, Service] = {}
    stays: dict[str, Stay] = {}
    for (kind, name), told in sorted(kept.items()):
        if kind == GATE:
            front, *free = (Door(address=address, port=port) for address, port in told["doors"])
            gates[name] = Gate(front=front, free=tuple(free))
        elif kind == CLIENT:
            node, _, address = name.rpartition(" ")
            clients[node][address] = Client(address=address, **told)
        elif kind == SERVICE:
            services[name] = _service(name, told)
        else:
            stays[name] = Stay(name=name, **{**told, "way": tuple(told["way"])})
    return Borders(
        access=Access(gates=gates, clients=dict(clients)), services=services, stays=stays
    )


def _service_row(service: Service) -> dict[str, Any]:
    return {
        "address": service.address,
        "port": service.port,
        "proto": int(service.proto),
        "surrogates": [[s.name, s.node, s.address, s.port] for s in service.surrogates],
        "chosen": dict(service.chosen),
        "moved": sorted(service.moved),
        "left": {node: sorted(names) for node, names in service.left.items()},
    }


def _service(name: str, told: Mapping[str, Any]) -> Service:
    return Service(
        name=name,
        address=told["address"],
        port=told["port"],
        proto=Proto(told["proto"]),
        surrogates=tuple(
            Surrogate(name=surrogate, node=node, address=address, port=port)
            for surrogate, node, address, port in told["surrogates"]
        ),
        chosen=told["chosen"],
        moved=frozenset(told["moved"]),
        left={node: frozenset(names) for node, names in told["left"].items()},
    )
