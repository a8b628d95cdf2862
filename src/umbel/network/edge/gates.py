"""Who may pass from an access network: its gate, and who signed in. Pure (SLS, section 4).

In: gates by node, sign-ins and sign-outs, the time. Out: values that compiler.py turns into rules.
A client is known by its IP and Ethernet addresses together, where both are known. Connections that
were led to the front end end when their client signs in; new ones go where they are meant to.
"""

import ipaddress
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from umbel.kit.errors import NotFound, Unprocessable
from umbel.network.switching.program import Action, Field, Match, Rule, Translate
from umbel.network.switching.tables import USED, Table

_MAC = re.compile(r"([0-9a-f]{2}:){5}[0-9a-f]{2}")
_IPV4, _ARP, _TCP, _UDP = 0x0800, 0x0806, 6, 17
_DNS, _WEB, _DHCP_SERVER, _DHCP_CLIENT = 53, 80, 67, 68
_FREE, _LED = 90, 50


class InvalidGate(Unprocessable):
    """These captive-portal settings are not valid."""

    code = "umbel.invalid_gate"


class InvalidClient(Unprocessable):
    """A client needs an IPv4 address and, where nodes report it, an Ethernet address."""

    code = "umbel.invalid_client"


class NoGate(NotFound):
    """The node's access network has no gate."""

    code = "umbel.no_gate"


@dataclass(frozen=True, kw_only=True, order=True)
class PortalAddress:
    """A TCP server that everybody may reach."""

    address: str
    port: int


@dataclass(frozen=True, kw_only=True)
class Gate:
    """Closes a node's access network. Web requests (port 80) of clients that are not signed in are
    led to `front`; that one and `free` can be reached by all."""

    portal: PortalAddress
    allowed: tuple[PortalAddress, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Client:
    """Somebody who signed in (`who`, if that is known), until `expires_s` (epoch seconds, so that a
    restart ends no sign-in). Without a `mac` any device with the address counts as this client."""

    address: str
    mac: str
    expires_s: float
    username: str = ""


@dataclass(frozen=True, kw_only=True)
class Access:
    """The gates by node, and each one's clients by their addresses."""

    gates: Mapping[str, Gate] = field(default_factory=dict)
    clients: Mapping[str, Mapping[str, Client]] = field(default_factory=dict)

    @property
    def next_expiry_s(self) -> float | None:
        """When `expire` has something to do next."""
        ends = [c.expires_s for clients in self.clients.values() for c in clients.values()]
        return min(ends, default=None)


def close(access: Access, node: str, gate: Gate) -> Access:
    """The node's access network has this gate; clients stay signed in. Raises InvalidGate."""
    for server in (gate.portal, *gate.allowed):
        if not _is_address(server.address) or not 1 <= server.port <= 0xFFFF:
            raise InvalidGate(f"{server.address}:{server.port} is no TCP server", node=node)
    return replace(access, gates={**access.gates, node: gate})


def open_up(access: Access, node: str) -> Access:
    """The node's access network has no gate, and no client is signed in. Without one it is as it
    was."""
    gates = {name: gate for name, gate in access.gates.items() if name != node}
    clients = {name: some for name, some in access.clients.items() if name != node}
    return Access(gates=gates, clients=clients)


def sign_in(access: Access, node: str, client: Client) -> Access:
    """The client may pass, in place of the client that had its IP address. Raises NoGate,
    InvalidClient."""
    if node not in access.gates:
        raise NoGate(node=node)
    mac = client.mac.lower()
    if not _is_address(client.address) or (mac and not _MAC.fullmatch(mac)):
        raise InvalidClient(f"{client.address}, {client.mac}: {InvalidClient.__doc__}", node=node)
    here = {**access.clients.get(node, {}), client.address: replace(client, mac=mac)}
    return replace(access, clients={**access.clients, node: here})


def sign_out(access: Access, node: str, address: str) -> Access:
    """The client may not pass any more. An unknown one is not an error."""
    here = {name: c for name, c in access.clients.get(node, {}).items() if name != address}
    return replace(access, clients={**access.clients, node: here})


def expire(access: Access, now_s: float) -> Access:
    """Those whose time is over may not pass any more."""
    left = {
        node: {name: c for name, c in clients.items() if c.expires_s > now_s}
        for node, clients in access.clients.items()
    }
    return access if left == access.clients else replace(access, clients=left)


def rules(access: Access, node: str, patch_port: int) -> Iterator[Rule]:
    """What the access table of a node holds; `outside` is its patch port."""
    gate = access.gates.get(node)
    if gate is None:
        yield _pass(patch_port, ())
        return
    for client in access.clients.get(node, {}).values():
        theirs: Match = ((Field.ETH_SRC, client.mac),) if client.mac else ()
        match = (*theirs, (Field.ETH_TYPE, _IPV4), (Field.IPV4_SRC, client.address))
        yield _pass(patch_port, match)
    for asked in _finding_the_way():
        yield _pass(patch_port, asked, _FREE)
    for server in dict.fromkeys((gate.portal, *gate.allowed)):
        to: Match = ((Field.IPV4_DST, server.address), (Field.TCP_DST, server.port))
        yield _pass(patch_port, (*_proto(_TCP), *to), _FREE)
    yield Rule(
        table=Table.ACCESS,
        priority=_LED,
        match=((Field.IN_PORT, patch_port), *_proto(_TCP), (Field.TCP_DST, _WEB)),
        actions=(_redirect_to(gate.portal),),
    )


def answering(access: Access, node: str) -> tuple[PortalAddress, ...]:
    """The servers at the node whose answers are to be translated back."""
    gate = access.gates.get(node)
    return (gate.portal,) if gate else ()


def _finding_the_way() -> Iterator[Match]:
    yield ((Field.ETH_TYPE, _ARP),)
    yield (*_proto(_UDP), (Field.UDP_SRC, _DHCP_CLIENT), (Field.UDP_DST, _DHCP_SERVER))
    yield (*_proto(_UDP), (Field.UDP_DST, _DNS))
    yield (*_proto(_TCP), (Field.TCP_DST, _DNS))


def _pass(patch_port: int, match: Match, priority: int = USED) -> Rule:
    return Rule(
        table=Table.ACCESS,
        priority=priority,
        match=((Field.IN_PORT, patch_port), *match),
        goto=Table.SERVICES,
    )


def _redirect_to(server: PortalAddress) -> Action:
    return Translate(table=Table.HOMES, address=server.address, port=server.port)


def _proto(number: int) -> Match:
    return ((Field.ETH_TYPE, _IPV4), (Field.IP_PROTO, number))


def _is_address(text: str) -> bool:
    try:
        return str(ipaddress.IPv4Address(text)) == text
    except ValueError:
        return False
