"""The network's borders: who may pass from an access network, who answers virtual addresses, which
functions are away from home. For operators; a client may ask for itself (`/client`).

Where the network is not made of switches of ours every request is refused:
`umbel.network_not_programmed`.
"""

from typing import Annotated

from fastapi import Request
from pydantic import Field

from umbel.network.service import MobileFunction
from umbel.portal import auth
from umbel.portal.api import edge_shapes as shapes
from umbel.portal.api.edge_shapes import (
    AccessOut,
    BindingIn,
    BindingOut,
    ClientIn,
    ClientLocationOut,
    ClientOut,
    GateIn,
    ReassignIn,
    ServiceIn,
    ServiceOut,
)
from umbel.portal.api.resource import Resource

router = Resource(prefix="/api/v1/network", tags=["borders"])

ServiceName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]


# -- access ---------------------------------------------------------------------------------


@router.get("/access")
async def list_access(system: auth.SystemDep, _operator: auth.Operator) -> list[AccessOut]:
    """List every node's access network, and whether it has a captive portal."""
    return [shapes.access(system.network.edge, node) for node in system.network.edge.sites]


@router.put("/access/{node}")
async def put_captive_portal(
    system: auth.SystemDep, _operator: auth.Operator, node: str, given: GateIn
) -> AccessOut:
    """Set the captive portal of an access network. Clients who are signed in stay signed in."""
    await system.network.edge.close_gate(node, shapes.gate(given))
    return shapes.access(system.network.edge, node)


@router.delete("/access/{node}", status_code=204)
async def delete_captive_portal(
    system: auth.SystemDep, _operator: auth.Operator, node: str
) -> None:
    """Remove the captive portal: every client may pass, and all are signed out."""
    await system.network.edge.open_gate(node)


@router.get("/clients")
async def list_clients(system: auth.SystemDep, _operator: auth.Operator) -> list[ClientOut]:
    """List the clients who are signed in, with their nodes."""
    clients = system.network.edge.state.access.clients
    return [shapes.client(node, one) for node, some in clients.items() for one in some.values()]


@router.post("/clients", status_code=201)
async def admit_client(
    system: auth.SystemDep, _operator: auth.Operator, given: ClientIn
) -> ClientOut:
    """Sign a client in. The client that had this address before is signed out."""
    lifetime_s = given.lifetime_s or system.settings.access_ttl_s
    borders, address = system.network.edge, str(given.address)
    client = await borders.sign_in(address, lifetime_s, mac=given.mac or "")
    return shapes.client(borders.client_location(address).node, client)


@router.delete("/clients/{address}", status_code=204)
async def delete_client(system: auth.SystemDep, _operator: auth.Operator, address: str) -> None:
    """Sign a client out. A client that is not signed in is not an error."""
    await system.network.edge.sign_out(address)


@router.get("/client")
async def get_own_client(system: auth.SystemDep, request: Request) -> ClientLocationOut:
    """Get the calling client, by its address."""
    return shapes.location(system.network.edge.client_location(auth.caller(request)))


@router.post("/client")
async def sign_in_here(
    system: auth.SystemDep, request: Request, user: auth.SignedIn
) -> ClientLocationOut:
    """Sign the calling client in, as the user of the token."""
    borders, address = system.network.edge, auth.caller(request)
    await borders.sign_in(address, system.settings.access_ttl_s, user.username)
    return shapes.location(borders.client_location(address))


@router.delete("/client", status_code=204)
async def sign_out_here(system: auth.SystemDep, request: Request) -> None:
    """Sign the calling client out."""
    await system.network.edge.sign_out(auth.caller(request))


# -- virtual services -----------------------------------------------------------------------


@router.get("/services")
async def list_services(system: auth.SystemDep, _operator: auth.Operator) -> list[ServiceOut]:
    """Every virtual service."""
    return [shapes.service(one) for one in system.network.edge.state.services.values()]


@router.get("/services/{name}")
async def get_service(system: auth.SystemDep, _operator: auth.Operator, name: str) -> ServiceOut:
    """One of them."""
    return shapes.service(system.network.edge.service(name))


@router.put("/services/{name}")
async def put_service(
    system: auth.SystemDep, _operator: auth.Operator, name: ServiceName, given: ServiceIn
) -> ServiceOut:
    """Set a virtual service with these surrogates. The nearest surrogate answers a node's clients.
    Clients that were moved keep their surrogate while it exists."""
    return shapes.service(await system.network.edge.offer(shapes.virtual_service(name, given)))


@router.post("/services/{name}/move")
async def move_clients(
    system: auth.SystemDep, _operator: auth.Operator, name: str, given: ReassignIn
) -> ServiceOut:
    """Send new connections of a node's clients to another surrogate. Open connections stay."""
    return shapes.service(await system.network.edge.move(name, given.node, given.surrogate))


@router.post("/services/{name}/close-old-connections")
async def close_old_connections(
    system: auth.SystemDep, _operator: auth.Operator, name: str
) -> ServiceOut:
    """End the connections to surrogates that clients were moved away from."""
    return shapes.service(await system.network.edge.close_old_connections(name))


@router.delete("/services/{name}", status_code=204)
async def delete_service(system: auth.SystemDep, _operator: auth.Operator, name: str) -> None:
    """Delete the virtual service."""
    await system.network.edge.withdraw(name)


# -- functions away from home ---------------------------------------------------------------


@router.get("/bindings")
async def list_bindings(system: auth.SystemDep, _operator: auth.Operator) -> list[BindingOut]:
    """List the functions that were moved away from their home node."""
    problems = system.network.edge.unreachable()
    bindings = system.network.edge.state.bindings.values()
    return [shapes.move(one, problems.get(one.name, "")) for one in bindings]


@router.get("/bindings/{name}")
async def get_binding(system: auth.SystemDep, _operator: auth.Operator, name: str) -> BindingOut:
    """One of them."""
    edge = system.network.edge
    return shapes.move(edge.binding(name), edge.unreachable().get(name, ""))


@router.put("/bindings/{name}")
async def put_binding(
    system: auth.SystemDep, _operator: auth.Operator, name: ServiceName, given: BindingIn
) -> BindingOut:
    """Register a function at another node. It keeps its address: packets to it go there through
    tunnels, and its packets leave as if it were at its home node."""
    mobile = MobileFunction(
        name=name, address=str(given.address), mac=given.mac, home_node=given.home_node
    )
    await system.network.edge.register(mobile, given.foreign_node)
    edge = system.network.edge
    return shapes.move(edge.binding(name), edge.unreachable().get(name, ""))


@router.delete("/bindings/{name}", status_code=204)
async def delete_binding(system: auth.SystemDep, _operator: auth.Operator, name: str) -> None:
    """Deregister the function: it is at its home node again."""
    await system.network.edge.deregister(name)
