"""EdgeState as rows and back: what store.py keeps of gates, sign-ins, services and moves. Pure.

In: EdgeState. Out: a JSON document for each thing that can change by itself, by kind and name.
"""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from umbel.network.edge.compiler import EdgeState
from umbel.network.edge.gates import Access, Client, Gate, PortalAddress
from umbel.network.edge.roaming import Binding
from umbel.network.edge.virtual_services import Proto, Surrogate, VirtualService

GATE, CLIENT, SERVICE, MOVE = "gate", "client", "service", "move"
Rows = Mapping[tuple[str, str], Mapping[str, Any]]
"""Documents by (kind, name)."""


def rows(edge: EdgeState) -> dict[tuple[str, str], dict[str, Any]]:
    """One for each gate (by its node), client (by node and address), service and move."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for node, gate in edge.access.gates.items():
        servers = [[server.address, server.port] for server in (gate.portal, *gate.allowed)]
        found[GATE, node] = {"doors": servers}
    for node, clients in edge.access.clients.items():
        for client in clients.values():
            found[CLIENT, f"{node} {client.address}"] = {
                "mac": client.mac,
                "expires_s": client.expires_s,
                "who": client.username,
            }
    for service in edge.services.values():
        found[SERVICE, service.name] = _service_row(service)
    for binding in edge.bindings.values():
        found[MOVE, binding.name] = {
            "address": binding.address,
            "mac": binding.mac,
            "way": list(binding.path),
        }
    return found


def edge(kept: Rows) -> EdgeState:
    """The state that `rows` was given. Keys of documents stay as the first schema had them."""
    gates: dict[str, Gate] = {}
    clients: dict[str, dict[str, Client]] = defaultdict(dict)
    services: dict[str, VirtualService] = {}
    bindings: dict[str, Binding] = {}
    for (kind, name), row in sorted(kept.items()):
        if kind == GATE:
            portal, *allowed = (
                PortalAddress(address=address, port=port) for address, port in row["doors"]
            )
            gates[name] = Gate(portal=portal, allowed=tuple(allowed))
        elif kind == CLIENT:
            node, _, address = name.rpartition(" ")
            clients[node][address] = Client(
                address=address, mac=row["mac"], expires_s=row["expires_s"], username=row["who"]
            )
        elif kind == SERVICE:
            services[name] = _service(name, row)
        else:
            bindings[name] = Binding(
                name=name, address=row["address"], mac=row["mac"], path=tuple(row["way"])
            )
    return EdgeState(
        access=Access(gates=gates, clients=dict(clients)), services=services, bindings=bindings
    )


def _service_row(service: VirtualService) -> dict[str, Any]:
    return {
        "address": service.address,
        "port": service.port,
        "proto": int(service.proto),
        "surrogates": [[s.name, s.node, s.address, s.port] for s in service.surrogates],
        "chosen": dict(service.chosen),
        "moved": sorted(service.pinned),
        "left": {node: sorted(names) for node, names in service.previous.items()},
    }


def _service(name: str, row: Mapping[str, Any]) -> VirtualService:
    return VirtualService(
        name=name,
        address=row["address"],
        port=row["port"],
        proto=Proto(row["proto"]),
        surrogates=tuple(
            Surrogate(name=surrogate, node=node, address=address, port=port)
            for surrogate, node, address, port in row["surrogates"]
        ),
        chosen=row["chosen"],
        pinned=frozenset(row["moved"]),
        previous={node: frozenset(names) for node, names in row["left"].items()},
    )
