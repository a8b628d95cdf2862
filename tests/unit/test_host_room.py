"""What a machine's own files say of it, and what is left of it for its nodes' functions."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from umbel.compute import host_room
from umbel.compute.drivers.process import host as measured
from umbel.compute.ledger import Ledger, NoRoom
from umbel.compute.model import (
    Description,
    Function,
    FunctionState,
    HostUsage,
    Instance,
    Node,
    NodeKind,
    Resources,
)

STAT = """cpu  100 20 30 4000 500 6 7 8 90 10
cpu0 50 10 15 2000 250 3 3 4 45 5
cpu1 50 10 15 2000 250 3 4 4 45 5
intr 1 2 3
"""
MEMINFO = """MemTotal:        2097152 kB
MemFree:          524288 kB
MemAvailable:    1048576 kB
HugePages_Total:       0
"""
PE1 = Node(name="pe1", kind=NodeKind.PROVIDER_EDGE, address="127.0.1.1", cores=2, memory_mb=1000)
PE2 = replace(PE1, name="pe2", address="127.0.2.1")
ON_HOST = HostUsage(host="h1", cores=4, memory_mb=4000)
AMOUNT = st.floats(0, 10)


def running(node: str, cores: float, mb: float = 0.0) -> Instance:
    return Instance(
        id=f"edge-{node}-1",
        owner="delivery",
        description="edge",
        node=node,
        state=FunctionState.ACTIVE,
        address="127.0.1.1",
        cpu_cores=cores,
        rss_mb=mb,
    )


def ledger(*instances: Instance, **nodes: HostUsage) -> Ledger:
    made = Ledger(lambda: [PE1, PE2])
    made.measure({one.id: one for one in instances}, nodes)
    return made


def test_cpu_time_counts_what_is_neither_idle_nor_waiting_and_guests_once() -> None:
    assert measured.parse_cpu(STAT) == measured.CpuTicks(busy=171, cpus=2)


def test_memory_that_can_be_reclaimed_is_not_used() -> None:
    assert measured.parse_memory_mb(MEMINFO) == (2048.0, 1024.0)


def test_a_node_has_no_more_room_than_foreign_work_leaves_its_machine() -> None:
    busy = replace(ON_HOST, cores_used=3.5, memory_used_mb=3800)
    free = ledger(running("pe1", 0.5, 100), pe1=busy, pe2=busy).free()
    # 3.0 cores and 3700 MiB are foreign, 0.5 and 100 are ours: 0.5 and 200 are left.
    for node in (PE1, PE2):
        left = free[node.name]
        assert (left.cores, left.memory_mb, left.mbps) == (0.5, 200.0, node.mbps)


def test_what_is_promised_on_one_node_is_gone_from_its_neighbour_on_the_machine() -> None:
    busy = replace(ON_HOST, cores_used=2.0)
    made = ledger(pe1=busy, pe2=busy)
    made.promise("delivery", {"pe1": Resources(cores=1.5)})
    assert made.free()["pe2"].cores == pytest.approx(0.5)


def test_other_machines_are_not_concerned() -> None:
    busy = replace(ON_HOST, cores_used=4.0)
    free = ledger(pe1=busy, pe2=replace(ON_HOST, host="h2")).free()
    assert (free["pe1"].cores, free["pe2"].cores) == (0.0, 2.0)


def test_a_machine_whose_last_node_was_removed_concerns_nobody() -> None:
    nodes = [PE1, PE2]
    made = Ledger(lambda: nodes)
    busy = replace(ON_HOST, cores_used=4.0)
    made.measure({}, {"pe1": busy, "pe2": replace(busy, host="h2")})
    nodes.remove(PE2)
    assert set(made.free()) == {"pe1"}


def test_functions_are_refused_on_a_busy_machine() -> None:
    busy = replace(ON_HOST, cores_used=3.5)
    one = Function(
        id="guest", node="pe1", description=Description(name="g", resources=Resources(cores=1))
    )
    with pytest.raises(NoRoom):
        ledger(pe1=busy).reserve("mano", [one])
    ledger(pe1=replace(busy, cores_used=2.5)).reserve("mano", [one])


def test_a_machine_that_plays_a_network_larger_than_itself_sets_no_limit() -> None:
    small = HostUsage(host="h1", cores=2, memory_mb=1500, cores_used=2, memory_used_mb=1500)
    free = ledger(pe1=small, pe2=small).free()
    assert free["pe1"] == PE1.capacity
    assert free["pe2"] == PE2.capacity


@given(ours=AMOUNT, promised=AMOUNT, foreign=AMOUNT, cores=AMOUNT)
def test_without_foreign_work_the_machine_never_limits_what_was_allotted(
    ours: float, promised: float, foreign: float, cores: float
) -> None:
    node = Resources(cores=cores)
    used = {"pe1": Resources(cores=ours + promised)}
    host = HostUsage(host="h", cores=cores + 1, memory_mb=0, cores_used=ours + foreign)
    left = host_room.left(host, ["pe1"], {"pe1": node}, used, [running("pe1", ours)])
    assert left.cores == pytest.approx(cores + 1 - ours - promised - foreign)
    assert left.mbps == math.inf
    if foreign <= 1:
        own = cores - ours - promised
        assert host_room.least(Resources(cores=own), left).cores == pytest.approx(own)
