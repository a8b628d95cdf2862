"""Tunnels into other domains: which there are, and their keys."""

from dataclasses import replace

from umbel.network.topology import crossings
from umbel.network.topology.crossings import Crossing
from umbel.network.topology.sites import Site

A = Site(
    node="a",
    ovsdb="unix:/a",
    datapath_id=1,
    underlay={"b": "10.201.0.1"},
    gateway="10.202.1.1/24",
    cables={"b": "xb"},
    crossings={"b": "192.0.2.1:51820"},
)
B = Site(
    node="b",
    ovsdb="unix:/b",
    datapath_id=2,
    underlay={"a": "10.201.0.2"},
    gateway="10.202.2.1/24",
    cables={"a": "xa"},
    crossings={"a": "192.0.2.2:51821"},
)
SITES = {"a": A, "b": B}


def keys(configuration: str) -> tuple[str, str]:
    """Its own private key, and the peer's public one."""
    told = dict(line.split(" = ") for line in configuration.splitlines() if " = " in line)
    return told["PrivateKey"], told["PublicKey"]


def test_a_crossing_has_two_ends_that_know_each_other() -> None:
    (here,), (there,) = (tuple(crossings.of(site, SITES)) for site in (A, B))
    assert here == Crossing(
        node="a",
        neighbour="b",
        device="xb",
        inner="10.201.0.1",
        far="10.201.0.2",
        local="192.0.2.1:51820",
        remote="192.0.2.2:51821",
    )
    assert (there.inner, there.far) == (here.far, here.inner)
    assert (there.local, there.remote) == (here.remote, here.local)
    assert tuple(crossings.of(A, {"a": A})) == ()
    assert tuple(crossings.of(A, {"a": A, "b": replace(B, crossings={})})) == ()


def test_keys_are_the_masters_and_the_nodes() -> None:
    (here,), (there,) = (tuple(crossings.of(site, SITES)) for site in (A, B))
    told, other = crossings.configuration(here, b"m"), crossings.configuration(there, b"m")
    assert told == crossings.configuration(here, b"m")
    assert "ListenPort = 51820\n" in told
    assert "Endpoint = 192.0.2.2:51821\n" in told
    assert "AllowedIPs = 10.201.0.2/32\n" in told
    assert len({*keys(told), *keys(other)}) == 4
    assert not {*keys(told)} & {*keys(crossings.configuration(here, b"n"))}
