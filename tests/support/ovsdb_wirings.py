"""A site with a database, and what is to be plugged there."""

from typing import Any

from umbel.network.topology.sites import Site, Tunnel, Wiring

SITE = Site(
    node="pe1",
    ovsdb="tcp:127.0.0.1:1",
    datapath_id=0x756D62000001,
    underlay={"c1": "10.201.0.1", "c2": "10.201.0.5"},
    gateway="10.202.1.1/24",
    nic="eth0",
    hosts=("h1",),
    cables={"c1": "l-c1"},
)


def tunnel(neighbour: str, **columns: Any) -> Tunnel:
    local = SITE.underlay.get(neighbour, "10.201.0.9")
    return Tunnel(neighbour=neighbour, local=local, remote="10.201.0.2", key=7, **columns)


def wiring(*neighbours: str) -> Wiring:
    return Wiring(controller="tcp:10.99.0.1:6653", tunnels=tuple(tunnel(n) for n in neighbours))
