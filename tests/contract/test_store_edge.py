"""EdgeState as rows, on SQLite and on PostgreSQL."""

import asyncio
from dataclasses import replace

import pytest

from umbel.kit.db import Database
from umbel.kit.journal import Journal
from umbel.network.edge import gates, virtual_services
from umbel.network.edge.compiler import EdgeState
from umbel.network.edge.gates import Access, Client, Gate, PortalAddress
from umbel.network.edge.roaming import Binding
from umbel.network.edge.store import EdgeStore
from umbel.network.edge.virtual_services import Proto, Surrogate, VirtualService
from umbel.network.model import Link, Topology

NOW_S = 1_000.0
LINE = Topology(nodes=("pe1", "pe2"), links=(Link(a="pe1", b="pe2"),))
GATE = Gate(
    portal=PortalAddress(address="10.97.0.1", port=8000),
    allowed=(PortalAddress(address="10.97.0.2", port=443),),
)
ANN = Client(address="10.202.1.10", mac="02:00:00:00:00:10", expires_s=2_000.25, username="ann")
SURROGATES = tuple(
    Surrogate(name=name, node=node, address="10.97.1.1", port=port)
    for name, node, port in (("a", "pe1", 8001), ("b", "pe2", 8002))
)
VIDEO = VirtualService(
    name="video", address="10.204.0.1", port=80, proto=Proto.UDP, surrogates=SURROGATES
)
STAY = Binding(name="f", address="10.202.1.20", mac="02:00:00:00:00:20", path=("pe1", "pe2"))


def whole() -> EdgeState:
    gated = gates.close(gates.close(Access(), "pe1", GATE), "pe2", replace(GATE, allowed=()))
    services = virtual_services.move(virtual_services.offer({}, VIDEO, LINE), "video", "pe1", "b")
    return EdgeState(
        access=gates.sign_in(gated, "pe1", ANN), services=services, bindings={STAY.name: STAY}
    )


@pytest.fixture
def store(database: Database) -> EdgeStore:
    return EdgeStore(database)


async def test_borders_are_kept_as_they_were(store: EdgeStore) -> None:
    assert (await store.load()).edge == EdgeState()
    made = await store.change(lambda _: whole(), at_s=NOW_S)
    assert (made.revision, made.edge) == (1, whole())
    assert await store.load() == made
    left = await store.change(lambda now: replace(now, services={}, bindings={}), at_s=NOW_S)
    assert left.revision == 2
    assert left.edge.access == whole().access
    assert await store.load() == left
    await store.change(lambda _: EdgeState(), at_s=NOW_S)
    assert (await store.load()).edge == EdgeState()


async def test_what_changed_is_told(store: EdgeStore, database: Database) -> None:
    await store.change(lambda _: whole(), at_s=NOW_S)
    settled = replace(
        whole(), services=virtual_services.close_old_connections(whole().services, "video")
    )
    await store.change(lambda _: settled, at_s=NOW_S)
    await store.change(lambda now: replace(now, access=gates.open_up(now.access, "pe1")), at_s=1)
    told = [(c.subject, c.body["of"], c.body["what"]) for c in await Journal(database).since(0)]
    assert sorted(told[:5]) == [
        ("f", "move", "set"),
        ("pe1", "gate", "set"),
        ("pe1 10.202.1.10", "client", "set"),
        ("pe2", "gate", "set"),
        ("video", "service", "set"),
    ]
    assert told[5] == ("video", "service", "set")
    assert sorted(told[6:]) == [
        ("pe1", "gate", "removed"),
        ("pe1 10.202.1.10", "client", "removed"),
    ]


async def test_a_decision_that_raises_changes_nothing(store: EdgeStore) -> None:
    await store.change(lambda _: whole(), at_s=NOW_S)
    with pytest.raises(virtual_services.NoSuchService):
        await store.change(
            lambda now: replace(now, services=virtual_services.move(now.services, "x", "pe1", "a")),
            at_s=NOW_S,
        )
    assert (await store.load()).revision == 1
    assert (await store.load()).edge == whole()


async def test_changes_at_once_are_all_kept(store: EdgeStore) -> None:
    await store.change(lambda _: whole(), at_s=NOW_S)

    async def come(number: int) -> None:
        client = replace(ANN, address=f"10.202.2.{number}")
        await store.change(
            lambda now: replace(now, access=gates.sign_in(now.access, "pe2", client)), at_s=NOW_S
        )

    await asyncio.gather(*(come(number) for number in range(10, 20)))
    kept = await store.load()
    assert kept.revision == 11
    assert len(kept.edge.access.clients["pe2"]) == 10
