"""`NodeSetup` for nodes that are network namespaces of this machine: by `ip` in batches.

In: sites with the ports their switches made. Out: the namespace's addresses, routes and permanent
neighbour, as the overlay wants them. An operator's real node is set up by its own means
(docs/howto/real-switch.md says how).
"""

import asyncio
import json
import socket
from collections.abc import Iterator, Sequence

from umbel.kit import netns, programs
from umbel.kit.errors import NotFound, Unavailable
from umbel.network.overlay import addresses
from umbel.network.switching.port_map import PortMap
from umbel.network.topology.sites import (
    LOCAL_PORT,
    NamespaceOf,
    Site,
    UnderlayRoute,
    cable_bridge,
)

STREAMS = str(addresses.NETWORK)
"""Where streams are sent, unless an operator gives them another address."""

_ROUTES = 117
"""The routing protocol's number (rtnetlink(7)) by which routes to other addresses are known as
ours."""

STREAM_MAC = "02:75:6d:62:6c:fe"
"""The Ethernet address that the overlay's switches have for nodes' functions."""

LINKS_TABLE = 203
"""The routing table by which a node sends what is between access networks over its links."""

_GUEST_QUEUE = 10_000
"""Packets that wait for a guest while it is copied and stands still. A tap device keeps 500, which
is a second of a picture."""

_CABLE_PREFIX = 30
_WAIT_S = 10.0
_ASK_AGAIN_S, _MOST_ASKED = 0.05, 20


class HostNotSetUp(Unavailable):
    """Umbel could not set the node's addresses."""

    code = "umbel.host_not_set_up"


class NoNamespace(NotFound):
    """This machine has no namespace for the node."""

    code = "umbel.no_namespace"


class NetnsHost:
    """Sets up nodes by the namespace that each one is: `namespace_of` names it."""

    def __init__(self, namespace_of: NamespaceOf) -> None:
        self._namespace_of = namespace_of

    async def configure(
        self,
        site: Site,
        port_maps: PortMap,
        targets: Sequence[str] = (),
        routes: Sequence[UnderlayRoute] = (),
    ) -> None:
        """See the Protocol. Raises NoNamespace, HostNotSetUp."""
        namespace = self._namespace(site)
        # What was set on the old devices may be gone or not: these may fail.
        await _ip(namespace, "-force", lines=stale(site))
        streams = await _routes(namespace, "proto", str(_ROUTES)) - {*targets}
        links = await _routes(namespace, "table", str(LINKS_TABLE)) - {one.to for one in routes}
        gone = [f"route del {to}/32 dev {LOCAL_PORT} proto {_ROUTES}" for to in streams]
        gone += [f"route del {to} table {LINKS_TABLE}" for to in links]
        await _ip(namespace, "-force", lines=gone)
        over = [
            f"route replace {one.to} via {one.via} dev {one.device} table {LINKS_TABLE}"
            for one in routes
        ]
        into = [
            f"{addresses.route_into_overlay(site.gateway, to)} proto {_ROUTES}" for to in targets
        ]
        queues = [
            f"link set {port.device} txqueuelen {_GUEST_QUEUE}"
            for port in port_maps.guests.values()
            if port.device
        ]
        await _ip(namespace, "-force", lines=queues)  # a guest may be gone again
        said = await _ip(namespace, lines=[*commands(site), *into, *over])
        if said:
            raise HostNotSetUp(f"{site.node}: {said}", node=site.node)

    async def ethernet(self, site: Site, address: str) -> str:
        """The Ethernet address of a client of the node's access network, which the node asks for
        if it does not know it; empty: none answers. Raises NoNamespace, HostNotSetUp."""
        namespace = self._namespace(site)
        if found := await _neighbour(namespace, address):
            return found
        try:
            await asyncio.to_thread(netns.inside, namespace, lambda: _knock(address))
        except OSError as error:
            raise HostNotSetUp(f"{site.node}: {error}", node=site.node) from error
        for _ in range(_MOST_ASKED):
            await asyncio.sleep(_ASK_AGAIN_S)
            if found := await _neighbour(namespace, address):
                break
        return found

    def _namespace(self, site: Site) -> str:
        name = self._namespace_of(site.node)
        if name is None or not (netns.FOLDER / name).exists():
            raise NoNamespace(f"{site.node} is no namespace", node=site.node)
        return name


def commands(site: Site) -> list[str]:
    """What `ip -batch` is to do in the node's namespace, each as good twice as once."""
    via = addresses.stream_gateway(site.gateway)
    guests = [f"addr replace {site.guests} dev {LOCAL_PORT}"] if site.guests else []
    return [
        f"addr replace {site.gateway} dev {LOCAL_PORT}",
        *guests,
        f"link set {LOCAL_PORT} up",
        f"neigh replace {via} lladdr {STREAM_MAC} dev {LOCAL_PORT} nud permanent",
        f"route replace {STREAMS} via {via} dev {LOCAL_PORT}",
        *_cables(site),
    ]


def stale(site: Site) -> list[str]:
    """The addresses that cables have, which their bridges will have."""
    return [
        f"addr del {site.underlay[neighbour]}/{_CABLE_PREFIX} dev {device}"
        for neighbour, device in site.cables.items()
        if neighbour in site.underlay
    ]


def _cables(site: Site) -> Iterator[str]:
    for neighbour, device in site.cables.items():
        if neighbour not in site.crossings:  # those come up as they are made
            yield f"link set {device} up"
        if neighbour in site.underlay:
            bridge = cable_bridge(neighbour)
            yield f"addr replace {site.underlay[neighbour]}/{_CABLE_PREFIX} dev {bridge}"
            yield f"link set {bridge} up"


async def _ip(namespace: str, *options: str, lines: list[str]) -> str:
    """What `ip` complains of; empty when all went well."""
    if not lines:
        return ""
    command = ("ip", "-n", namespace, *options, "-batch", "-")
    try:
        ended = await programs.run(*command, said="\n".join(lines), within_s=_WAIT_S)
    except TimeoutError:
        return "ip does not end"
    return "" if ended.code == 0 else ended.wrong.strip()


async def _routes(namespace: str, *which: str) -> set[str]:
    """Where routes of ours in the namespace lead."""
    command = ("ip", "-n", namespace, "-json", "route", "show", *which)
    ended = await programs.run(*command)  # a table without routes is no table: not JSON
    return {str(route["dst"]) for route in json.loads(ended.out)} if ended.code == 0 else set()


async def _neighbour(namespace: str, address: str) -> str:
    """Which host the kernel knows to have the address there; empty: none."""
    command = ("ip", "-n", namespace, "-json", "neigh", "show", "to", address, "dev", LOCAL_PORT)
    known = json.loads((await programs.run(*command)).out or "[]")
    return next((str(entry["lladdr"]) for entry in known if "lladdr" in entry), "")


def _knock(address: str) -> None:
    """Have the kernel ask who has the address: send a byte to the discard port (RFC 863)."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as knocking:
        knocking.sendto(b"\0", (address, 9))
