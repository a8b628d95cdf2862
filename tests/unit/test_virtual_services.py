"""Virtual services: which surrogate is chosen where, and services that cannot be. Pure."""

from dataclasses import replace

import pytest

from umbel.network.edge import virtual_services
from umbel.network.edge.virtual_services import (
    InvalidService,
    NoSuchService,
    NoSuchSurrogate,
    Surrogate,
    VirtualService,
)
from umbel.network.model import Link, Topology

LINE = Topology(nodes=("pe1", "c1", "pe2"), links=(Link(a="pe1", b="c1"), Link(a="c1", b="pe2")))
A, B = (
    Surrogate(name="a", node="c1", address="10.97.2.1", port=8080),
    Surrogate(name="b", node="pe2", address="10.97.3.1", port=9090),
)
SERVICE = VirtualService(name="video", address="10.204.0.1", port=80, surrogates=(A, B))


def test_a_choice_lasts_as_long_as_its_surrogate() -> None:
    services = virtual_services.offer({}, SERVICE, LINE)
    moved = virtual_services.move(services, "video", "pe1", "b")
    again = virtual_services.offer(moved, SERVICE, LINE)["video"]
    assert again.chosen["pe1"] == "b"
    assert again.previous == {"pe1": {"a"}}
    gone = virtual_services.offer(moved, replace(SERVICE, surrogates=(A,)), LINE)["video"]
    assert gone.chosen == dict.fromkeys(LINE.nodes, "a")
    assert gone.previous == {"pe1": {"a"}}
    back = virtual_services.move(moved, "video", "pe1", "a")["video"]
    assert back.previous == {"pe1": {"b"}}


def test_services_follow_the_nodes() -> None:
    services = virtual_services.offer({}, SERVICE, LINE)
    assert virtual_services.follow(services, LINE) == services
    longer = replace(LINE, nodes=(*LINE.nodes, "pe9"), links=(*LINE.links, Link(a="pe9", b=A.node)))
    assert virtual_services.follow(services, longer)["video"].chosen["pe9"] == A.name
    shorter = replace(
        LINE,
        nodes=tuple(node for node in LINE.nodes if node != A.node),
        links=tuple(link for link in LINE.links if A.node not in (link.a, link.b)),
    )
    left = virtual_services.follow(services, shorter)["video"]
    assert A.name not in {surrogate.name for surrogate in left.surrogates}
    assert A.name not in left.chosen.values()


def test_services_that_cannot_be() -> None:
    services = virtual_services.offer({}, SERVICE, LINE)
    for wrong in (
        replace(SERVICE, address="10.205.0.1"),
        replace(SERVICE, port=0),
        replace(SERVICE, surrogates=(A, A)),
        replace(SERVICE, surrogates=(replace(A, address="edge"),)),
        replace(SERVICE, surrogates=(replace(A, port=70000),)),
        replace(SERVICE, name="other"),
    ):
        with pytest.raises(InvalidService):
            virtual_services.offer(services, wrong, LINE)
    with pytest.raises(NoSuchService):
        virtual_services.move(services, "other", "pe1", "a")
    with pytest.raises(NoSuchSurrogate):
        virtual_services.move(services, "video", "pe1", "c")
