"""The nodes' accounts: what is measured, promised and free, by owner."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from umbel.compute.ledger import Ledger, NoRoom
from umbel.compute.model import (
    Description,
    Function,
    FunctionState,
    Instance,
    Node,
    NodeKind,
    Reservation,
    Resources,
)

PE1 = Node(name="pe1", kind=NodeKind.PROVIDER_EDGE, address="127.0.1.1", cores=4, memory_mb=1000)
PE2 = replace(PE1, name="pe2", address="127.0.2.1")
RESERVED = Description(name="guest", resources=Resources(cores=1.0, memory_mb=200))
MEASURED = replace(RESERVED, name="edge", reservation=Reservation.UNTIL_MEASURED)


def made() -> Ledger:
    return Ledger(lambda: [PE1, PE2])


def function(id_: str, description: Description = RESERVED, node: str = "pe1") -> Function:
    return Function(id=id_, node=node, description=description)


def running(of: Function, owner: str, cores: float, mb: float = 0.0) -> Instance:
    return Instance(
        id=of.id,
        owner=owner,
        description=of.description.name,
        node=of.node,
        state=FunctionState.ACTIVE,
        address="127.0.1.1",
        cpu_cores=cores,
        rss_mb=mb,
    )


def used_cores(ledger: Ledger, node: str = "pe1") -> float:
    return ledger.used().get(node, Resources()).cores


@pytest.mark.parametrize(
    ("description", "measured", "counts"),
    [(RESERVED, 0.2, 1.0), (RESERVED, 1.5, 1.5), (MEASURED, 0.2, 0.2), (MEASURED, 1.5, 1.5)],
)
def test_a_running_function_counts_as_its_reservation_says(
    description: Description, measured: float, counts: float
) -> None:
    ledger, one = made(), function("f", description)
    ledger.expect("mano", {one.id: one})
    assert used_cores(ledger) == 1.0
    ledger.measure({one.id: running(one, "mano", measured)})
    assert used_cores(ledger) == pytest.approx(counts)


def test_what_a_function_uses_on_another_node_does_not_fill_its_promise() -> None:
    ledger, one = made(), function("f", MEASURED, "pe2")
    ledger.expect("mano", {one.id: one})
    ledger.measure({one.id: running(replace(one, node="pe1"), "mano", 0.5)})
    assert (used_cores(ledger, "pe1"), used_cores(ledger, "pe2")) == (0.5, 1.0)


def test_accounts_are_by_owner_and_replaced_by_owner() -> None:
    ledger, one = made(), function("f")
    ledger.expect("mano", {one.id: one})
    ledger.promise("delivery", {"pe1": Resources(cores=0.5, mbps=100)})
    ledger.add("delivery", {"pe1": Resources(cores=0.25)})
    stranger = function("old", node="pe2")
    ledger.measure({stranger.id: running(stranger, "uninstalled", 0.3)})
    accounts = ledger.by_owner()
    assert accounts["mano"] == {"pe1": Resources(cores=1.0, memory_mb=200)}
    assert accounts["delivery"] == {"pe1": Resources(cores=0.75, mbps=100)}
    assert accounts["uninstalled"] == {"pe2": Resources(cores=0.3)}
    ledger.promise("delivery", {})
    assert ledger.free()["pe1"] == Resources(cores=3.0, memory_mb=800, mbps=1000)


def test_a_reservation_is_made_whole_or_not_at_all() -> None:
    ledger = made()
    ledger.promise("delivery", {"pe2": Resources(cores=3.5)})
    with pytest.raises(NoRoom) as caught:
        ledger.reserve("mano", [function("a"), function("b", node="pe2")])
    assert caught.value.details["node"] == "pe2"
    assert used_cores(ledger, "pe1") == 0
    ledger.reserve("mano", [function("a")])
    ledger.reserve("mano", [function("a")])
    assert used_cores(ledger, "pe1") == 1.0


PLACES = st.lists(
    st.tuples(
        st.sampled_from(["delivery", "mano"]),
        st.sampled_from(["pe1", "pe2"]),
        st.floats(0.0, 3.0),
        st.floats(0.0, 600.0),
    ),
    max_size=30,
)


@given(PLACES)
def test_placers_that_reserve_never_oversell_a_node(
    wishes: list[tuple[str, str, float, float]],
) -> None:
    ledger = made()
    for number, (owner, node, cores, memory_mb) in enumerate(wishes):
        described = Description(name="any", resources=Resources(cores=cores, memory_mb=memory_mb))
        before = ledger.free()
        try:
            ledger.reserve(owner, [function(f"f{number}", described, node)])
        except NoRoom:
            assert not described.resources.fits(before[node])
            assert ledger.free() == before
        for room in ledger.free().values():
            assert room.cores >= -1e-9
            assert room.memory_mb >= -1e-6
