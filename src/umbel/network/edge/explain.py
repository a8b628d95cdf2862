"""Whose packets a border's rule is for, in words. Pure.

In: a rule's match, and who may pass, who answers and who is away (compiler.py). Out: words for
operator/explain.py, which says where they come from and where they go.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from umbel.network.edge.compiler import STREAMS, EdgeState
from umbel.network.switching.program import Field, Rule, Value
from umbel.network.switching.tables import SUNK, Table

_ARP = 0x0806
_PROTOCOLS: Mapping[Value, str] = {6: "TCP", 17: "UDP"}
_WELL_KNOWN: Mapping[tuple[Value, Value], str] = {
    (6, 80): "web requests",
    (6, 53): "questions to DNS",
    (17, 53): "questions to DNS",
    (17, 67): "questions to DHCP",
}


@dataclass(frozen=True)
class Names:
    """Who has an address: by (address, port), or by (address, 0) whatever the port."""

    known: Mapping[tuple[Value, Value], str]

    def of(self, address: Value, port: Value = 0) -> str:
        """The address with its port, and whose they are in brackets."""
        whose = self.known.get((address, port)) or self.known.get((address, 0))
        where = f"{address}:{port}" if port else f"{address}"
        return f"{where} ({whose})" if whose else where


def names(edge: EdgeState, node: str) -> Names:
    """Those that rules of the node's switch may be for."""
    return Names(dict(_named(edge, node)))


def _named(edge: EdgeState, node: str) -> Iterator[tuple[tuple[Value, Value], str]]:
    for client in edge.access.clients.get(node, {}).values():
        who = f"{client.username}, signed in" if client.username else "a client that is signed in"
        yield (client.address, 0), who
    for gate in edge.access.gates.values():
        yield (gate.portal.address, gate.portal.port), "the front end"
    for service in edge.services.values():
        yield (service.address, service.port), f"service {service.name}"
        for one in service.surrogates:
            yield (one.address, one.port), f"{one.name} of service {service.name}"
    for binding in edge.bindings.values():
        yield (
            (binding.address, 0),
            f"{binding.name} of {binding.home_node}, now at {binding.foreign_node}",
        )
    for guest in edge.guests:
        yield (guest.address, 0), f"a guest of {guest.home}, now at {' and '.join(guest.places)}"


def whose(rule: Rule, known: Names) -> str:
    """What packets the rule is for, but for the port they come by."""
    match = dict(rule.match)
    if rule.table == Table.CLASSIFIER and rule.priority == SUNK:
        return f"what is sent to streams' addresses ({STREAMS}) and is no stream here"
    if match.get(Field.ETH_TYPE) == _ARP:
        return _arp(match, known)
    proto = match.get(Field.IP_PROTO, 0)
    to = match.get(Field.TCP_DST, match.get(Field.UDP_DST, 0))
    of = match.get(Field.TCP_SRC, match.get(Field.UDP_SRC, 0))
    what = _PROTOCOLS.get(proto, "packets")
    target, source = match.get(Field.IPV4_DST), match.get(Field.IPV4_SRC)
    if target is None and source is None and to:
        return _WELL_KNOWN.get((proto, to), f"{what} to port {to}")
    words = [what if match.keys() - {Field.IN_PORT} else "all else"]
    words += [f"to {known.of(target, to)}"] if target is not None else []
    words += [f"of {known.of(source, of)}"] if source is not None else []
    return " ".join(words)


def _arp(match: Mapping[Field, Value], known: Names) -> str:
    target, source = match.get(Field.ARP_TPA), match.get(Field.ARP_SPA)
    words = ["ARP"]
    words += [f"for {known.of(target)}"] if target is not None else []
    words += [f"of {known.of(source)}"] if source is not None else []
    return " ".join(words)
