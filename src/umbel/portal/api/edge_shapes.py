"""The JSON shapes of borders (edge.py), and how they are built from the domain's values."""

from enum import StrEnum
from ipaddress import IPv4Address, IPv4Interface
from typing import Annotated, Self

from pydantic import BaseModel, Field, model_validator

from umbel.kit.clock import to_rfc3339
from umbel.network.service import (
    Binding,
    Client,
    ClientLocation,
    EdgeService,
    Gate,
    PortalAddress,
    Proto,
    Surrogate,
    VirtualService,
)
from umbel.portal.api.network_shapes import At, Mac, Port
from umbel.portal.api.shapes import Given, NodeName

Lifetime = Annotated[float, Field(gt=0, le=31_536_000, allow_inf_nan=False)]


class Protocol(StrEnum):
    """What a virtual service is spoken to by."""

    TCP = "tcp"
    UDP = "udp"


class GateIn(Given):
    """Closes an access network: web requests of clients that are not signed in are led to `portal`,
    where this portal end listens; that server and those of `allowed` can be reached by all."""

    portal: At
    allowed: Annotated[list[At], Field(default_factory=list, max_length=50)]


class Server(BaseModel):
    """A server."""

    address: str
    port: int


class AccessOut(BaseModel):
    """A node's access network; `portal` is null where there is no gate."""

    node: str
    network: str
    closed: bool
    portal: Server | None
    allowed: list[Server]
    clients: int


class ClientIn(Given):
    """A client that may pass from now on, for `lifetime_s` (the setting's if it is not given). The
    node is asked for its Ethernet address where none is given."""

    address: IPv4Address
    mac: Mac | None = None
    lifetime_s: Lifetime | None = None


class ClientOut(BaseModel):
    """A client that is signed in: by which user, if it was not an operator, and until when."""

    node: str
    address: str
    mac: str | None
    username: str | None
    expires_at: str


class ClientLocationOut(BaseModel):
    """Where the client that asks is, whether its access network is closed, and whether it may pass:
    it is signed in, or need not be."""

    node: str
    address: str
    closed: bool
    passes: bool
    username: str | None
    expires_at: str | None


class SurrogateIn(Given):
    """A function that can answer for a service: at which node, address and port."""

    name: Annotated[str, Field(min_length=1, max_length=64)]
    node: NodeName
    address: IPv4Address
    port: Port


class ServiceIn(Given):
    """Who can answer at a virtual service's address. The address is in 10.204.0.0/16; without one
    it keeps its own, or gets a allowed one."""

    port: Port
    proto: Protocol = Protocol.TCP
    address: IPv4Address | None = None
    surrogates: Annotated[list[SurrogateIn], Field(min_length=1, max_length=254)]


class ReassignIn(Given):
    """Which surrogate assignments a node's clients from now on."""

    node: NodeName
    surrogate: Annotated[str, Field(min_length=1, max_length=64)]


class SurrogateOut(BaseModel):
    """A function that can answer for a service."""

    name: str
    node: str
    address: str
    port: int


class AssignmentOut(BaseModel):
    """Who assignments a node's clients: the nearest, unless they were `pinned`. `previous` are
    those that answer connections still that began before a move."""

    node: str
    surrogate: str
    pinned: bool
    previous: list[str]


class ServiceOut(BaseModel):
    """A virtual service: its address, who can answer there, and who does for each node."""

    name: str
    address: str
    port: int
    proto: Protocol
    surrogates: list[SurrogateOut]
    assignments: list[AssignmentOut]


class BindingIn(Given):
    """A function that pinned: its addresses, the node it is at home_node at, and where it is
    now."""

    address: IPv4Address
    mac: Mac
    home_node: NodeName
    foreign_node: NodeName

    @model_validator(mode="after")
    def _is_away(self) -> Self:
        if self.home_node == self.foreign_node:
            raise ValueError("foreign_node: another node than home_node; DELETE the move instead")
        return self


class BindingOut(BaseModel):
    """A function away from home_node and the nodes by which its packets go. `error` says why it
    cannot be reached now."""

    name: str
    address: str
    mac: str
    home_node: str
    foreign_node: str
    path: list[str]
    error: str


def gate(given: GateIn) -> Gate:
    """The gate asked for."""
    portal, *allowed = (
        PortalAddress(address=str(at.address), port=at.port)
        for at in (given.portal, *given.allowed)
    )
    return Gate(portal=portal, allowed=tuple(allowed))


def virtual_service(name: str, given: ServiceIn) -> VirtualService:
    """The virtual service that the body describes."""
    surrogates = tuple(
        Surrogate(name=one.name, node=one.node, address=str(one.address), port=one.port)
        for one in given.surrogates
    )
    return VirtualService(
        name=name,
        address=str(given.address) if given.address else "",
        port=given.port,
        proto=Proto[given.proto.name],
        surrogates=surrogates,
    )


def _server(server: PortalAddress) -> Server:
    return Server(address=server.address, port=server.port)


def access(of: EdgeService, node: str) -> AccessOut:
    """A node's access network as JSON."""
    state = of.state.access
    found = state.gates.get(node)
    return AccessOut(
        node=node,
        network=str(IPv4Interface(of.sites[node].gateway).network),
        closed=found is not None,
        portal=_server(found.portal) if found else None,
        allowed=[_server(server) for server in found.allowed] if found else [],
        clients=len(state.clients.get(node, {})),
    )


def client(node: str, of: Client) -> ClientOut:
    """A signed-in client as JSON."""
    return ClientOut(
        node=node,
        address=of.address,
        mac=of.mac or None,
        username=of.username or None,
        expires_at=to_rfc3339(of.expires_s),
    )


def location(of: ClientLocation) -> ClientLocationOut:
    """A client's foreign_node as JSON."""
    known = of.client
    return ClientLocationOut(
        node=of.node,
        address=of.address,
        closed=of.gate is not None,
        passes=of.gate is None or known is not None,
        username=(known.username or None) if known else None,
        expires_at=to_rfc3339(known.expires_s) if known else None,
    )


def service(of: VirtualService) -> ServiceOut:
    """A virtual service as JSON."""
    return ServiceOut(
        name=of.name,
        address=of.address,
        port=of.port,
        proto=Protocol[of.proto.name],
        surrogates=[
            SurrogateOut(name=s.name, node=s.node, address=s.address, port=s.port)
            for s in of.surrogates
        ],
        assignments=[
            AssignmentOut(
                node=node,
                surrogate=chosen,
                pinned=node in of.pinned,
                previous=sorted(of.previous.get(node, ())),
            )
            for node, chosen in sorted(of.chosen.items())
        ],
    )


def move(of: Binding, error: str) -> BindingOut:
    """A function away from home_node as JSON; `error` is why it cannot be reached."""
    return BindingOut(
        name=of.name,
        address=of.address,
        mac=of.mac,
        home_node=of.home_node,
        foreign_node=of.foreign_node,
        path=list(of.path),
        error=error,
    )
