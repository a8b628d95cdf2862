"""A testbed's plan as lines for `ip -batch`: values in, text out. Pure; build.py runs them.

The switch's own devices are made here with their addresses, as a machine's network set-up would:
vswitchd takes up a tap device of the right name and leaves its addresses alone.
"""

from collections.abc import Iterator

from umbel.network.documents import LOCAL_PORT
from umbel.network.drivers.linux import hosts
from umbel.network.drivers.ovsdb.layout import local_mac
from umbel.testbed.plan import (
    ACCESS_NETWORKS,
    LINK_MTU,
    Cable,
    HostPlan,
    NodePlan,
    Plan,
    access_network,
)

ACCESS_MTU = 1400
"""So that what comes from there fits into a tunnel over links of 1500 bytes."""

NODE_SYSCTLS = {
    "net/ipv4/ip_forward": "1",
    "net/ipv4/conf/all/rp_filter": "0",
    "net/ipv4/conf/default/rp_filter": "0",
    "net/ipv4/conf/all/arp_ignore": "1",
    "net/ipv4/conf/all/arp_announce": "2",
    "net/ipv4/conf/all/ignore_routes_with_linkdown": "1",
    "net/ipv4/conf/default/ignore_routes_with_linkdown": "1",
    "net/ipv6/conf/all/disable_ipv6": "1",
    "net/ipv6/conf/default/disable_ipv6": "1",
}
GUEST_SYSCTLS = {"net/ipv4/conf/mgmt0/proxy_arp": "1", "net/ipv4/neigh/mgmt0/proxy_delay": "0"}
"""A node with guests answers for them in the management network, and hands on to them."""
HOST_SYSCTLS = {
    key: value for key, value in NODE_SYSCTLS.items() if "rp_filter" in key or "ipv6" in key
}


def management(plan: Plan) -> Iterator[str]:
    """Root namespace: the management network's bridge."""
    yield f"link add {plan.bridge} type bridge"
    yield f"address add {plan.controller}/16 dev {plan.bridge}"
    yield f"link set {plan.bridge} up"


def namespaces(plan: Plan) -> Iterator[str]:
    """Root namespace: all the others."""
    names = [node.namespace for node in plan.nodes] + [host.namespace for host in plan.hosts]
    yield from (f"netns add {name}" for name in names)


def cables(plan: Plan) -> Iterator[str]:
    """Root namespace: every cable, its ends where they belong; answers to hosts of any testbed
    leave by the bridge of the one that they came in by."""
    at = {node.name: node for node in plan.nodes}
    for node in plan.nodes:
        yield f"link add {node.outer} type veth peer mgmt0 netns {node.namespace}"
        yield f"link set {node.outer} master {plan.bridge} up"
        yield (
            f"route add {access_network(node.number)} via {node.management}"
            f" dev {plan.bridge} table {table(plan.octet)}"
        )
    yield f"rule add {rule(plan.octet)}"
    for link in plan.links:
        a, b = at[link.a], at[link.b]
        yield (
            f"link add {a.site.queues[b.name]} netns {a.namespace} type veth"
            f" peer {b.site.queues[a.name]} netns {b.namespace}"
        )
    for host in plan.hosts:
        yield (
            f"link add {host.device} netns {at[host.node].namespace} type veth"
            f" peer eth0 address {host.mac} netns {host.namespace}"
        )


def node(plan: Plan, here: NodePlan) -> Iterator[str]:
    """A node's namespace: its devices' addresses and routes."""
    yield "link set lo up"
    yield f"address add {here.management}/16 dev mgmt0"
    yield "link set mgmt0 up"
    # What is between access networks goes over the links, once the platform has made their bridges
    # and their routes; until then over the management network.
    for end in ("from", "to"):
        yield f"rule add {end} {ACCESS_NETWORKS} lookup {hosts.LINKS_TABLE} pref 1000"
    for other in plan.nodes:
        if other is not here:
            yield f"route add {access_network(other.number)} via {other.management} dev mgmt0"
    for host in plan.hosts_of(here.name):
        yield f"link set {host.device} mtu {ACCESS_MTU} up"
    for cable in here.cables:
        yield from _foreign(cable) if cable.outer else _own(cable)
        yield f"tuntap add {cable.bridge} mode tap"
    yield f"tuntap add {LOCAL_PORT} mode tap"
    yield from switch_addresses(plan, here)


def _own(cable: Cable) -> Iterator[str]:
    yield f"link add {cable.device} type veth peer {cable.back}"
    yield f"link add {cable.hop} type bridge mcast_snooping 0"
    yield f"link set {cable.device} mtu {LINK_MTU} up"
    for device in (cable.back, cable.wire):
        yield f"link set {device} mtu {LINK_MTU} master {cable.hop} up"
    yield f"link set {cable.hop} up"


def _foreign(cable: Cable) -> Iterator[str]:
    yield f"address add {cable.outer} dev {cable.wire}"
    yield f"link set {cable.wire} mtu {LINK_MTU} up"


def switch_addresses(plan: Plan, here: NodePlan) -> Iterator[str]:
    """A node's namespace: the addresses and routes of the devices that are its switch's own ports.
    They stay when vswitchd restarts, and go with the port. Idempotent."""
    for cable in here.cables:
        yield f"link set {cable.bridge} mtu {LINK_MTU}"
    yield f"link set {LOCAL_PORT} address {local_mac(here.site)} mtu {ACCESS_MTU}"
    yield from hosts.commands(here.site)
    for host in plan.hosts_of(here.name):
        address = host.address.partition("/")[0]
        yield f"neighbor replace {address} lladdr {host.mac} dev {LOCAL_PORT} nud permanent"


def host(here: HostPlan, node: NodePlan) -> Iterator[str]:
    """The namespace of a host at a node. It knows its gateway's Ethernet address, as the overlay
    carries no ARP."""
    yield "link set lo up"
    yield f"address add {here.address} dev eth0"
    yield f"link set eth0 mtu {ACCESS_MTU} up"
    yield f"route add default via {here.gateway} dev eth0"
    yield f"neighbor replace {here.gateway} lladdr {local_mac(node.site)} dev eth0 nud permanent"


def table(octet: int) -> int:
    """The routing table of a testbed in the root namespace."""
    return 20_000 + octet


def rule(octet: int) -> str:
    """What leads there: the front end's answers, by their source."""
    return f"from 10.{octet}.0.1 lookup {table(octet)} pref {table(octet)}"
