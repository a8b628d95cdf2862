"""The network file's nodes, clients' access nodes, upkeep, the fake's extras, and the door."""

import asyncio
import os
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from umbel.compute import inventory, upkeep
from umbel.compute.access import AccessMap
from umbel.compute.drivers.fake import FakeVim
from umbel.compute.drivers.process import launch, procfs
from umbel.compute.drivers.process.procfs import Process
from umbel.compute.drivers.process.records import Record
from umbel.compute.health import Record as HealthRecord
from umbel.compute.inventory import BadInventory, Inventory
from umbel.compute.model import (
    LIFE_CYCLE,
    Function,
    FunctionEvent,
    FunctionState,
    Instance,
    Node,
    NodeKind,
    Role,
)
from umbel.compute.service import Compute, NoSuchNode
from umbel.kit.clock import LoopClock
from umbel.kit.errors import Exhausted, NotFound
from umbel.network import files

PE1 = Node(name="pe1", kind=NodeKind.PROVIDER_EDGE, address="127.0.1.1", prefixes=("127.0.1.0/24",))
PE2 = Node(name="pe2", kind=NodeKind.PROVIDER_EDGE, address="127.0.2.1", prefixes=("127.0.2.0/24",))
ACQUIRER = Function(id="acquirer-pe1-1", role=Role.ACQUIRER, node="pe1")
EDGE = Function(id="edge-pe2-1", role=Role.EDGE, node="pe2")


# --- inventory


def problems_of(raw: object) -> list[str]:
    with pytest.raises(BadInventory) as caught:
        inventory.parse(raw)
    assert caught.value.code == "umbel.bad_network"
    found = caught.value.details["problems"]
    assert isinstance(found, list)
    return found


def test_the_built_in_network_has_seven_nodes_on_loopback() -> None:
    sls = inventory.parse(files.builtin())
    assert [node.address for node in sls.nodes] == [f"127.0.{n}.1" for n in range(1, 8)]
    kinds = {node.name: node.kind for node in sls.nodes}
    assert [name for name, kind in kinds.items() if kind is NodeKind.CORE] == ["c1", "c2"]
    assert sls.default_access == "pe1"
    assert sls.nodes[3].prefixes == ("127.0.4.0/24",)


def test_defaults_are_the_models() -> None:
    parsed = inventory.parse({"nodes": [{"name": "pe1", "address": "10.0.0.1"}]})
    assert parsed.nodes == (Node(name="pe1", kind=NodeKind.PROVIDER_EDGE, address="10.0.0.1"),)
    assert parsed.default_access == ""


def test_all_problems_are_told_at_once_and_by_name() -> None:
    nodes = [
        {"name": "a", "address": "127.0.1.1", "prefixes": ["127.0.1.0/24"]},
        {"name": "b", "address": "127.0.1.300", "cores": -1, "memory_mb": 0},
        {"name": "c", "address": "127.0.3.1", "prefixes": ["127.0.3.1/24"]},
        {"name": "a", "address": "127.0.4.1"},
        {"name": "d", "address": "127.0.1.1", "prefixes": ["127.0.1.0/24"]},
        {"address": "127.0.6.1", "kind": "toaster"},
        {"name": "../e", "address": "127.0.7.1", "colour": "red"},
        "f",
    ]
    assert problems_of({"nodes": nodes, "default_access": "z"}) == [
        "node b: address: value is not a valid IPv4 or IPv6 address",
        "node b: cores: Input should be greater than 0",
        "node b: memory_mb: Input should be greater than 0",
        "node c: prefixes: Value error, 127.0.3.1/24 has host bits set",
        "node a: named twice",
        "node d: address 127.0.1.1 is a's",
        "node d: prefix 127.0.1.0/24 is a's",
        "node 6: name: Field required",
        "node 6: kind: Input should be 'provider-edge' or 'core'",
        "node ../e: name: String should match pattern '^[A-Za-z0-9][A-Za-z0-9._-]*$'",
        "node ../e: colour: Extra inputs are not permitted",
        "node 8: Input should be a valid dictionary or instance of _NodeEntry",
        "default_access: unknown node z",
    ]


@pytest.mark.parametrize("raw", [None, [], "nodes", {}, {"nodes": {}}, {"nodes": [None]}])
def test_a_document_without_nodes_is_refused(raw: object) -> None:
    assert problems_of(raw)


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=5) | st.integers(),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(st.sampled_from(["nodes", "name", "address", "prefixes"]), inner)
        ),
        max_leaves=20,
    )
)
def test_any_document_parses_or_is_refused_with_problems(raw: object) -> None:
    try:
        found = inventory.parse(raw)
    except BadInventory as error:
        assert error.details["problems"]
    else:
        assert found.nodes


# --- access


def test_clients_enter_where_their_prefix_is_longest() -> None:
    wide = Node(name="wide", kind=NodeKind.CORE, address="127.9.9.9", prefixes=("127.0.0.0/16",))
    access = AccessMap([wide, PE1, PE2], default="pe2")
    assert access.node_of("127.0.1.77") == "pe1"
    assert access.node_of("127.0.200.1") == "wide"
    assert access.node_of("10.1.1.1") == "pe2"
    assert access.node_of("::ffff:127.0.1.77") == "pe1"
    assert access.node_of("2001:db8::1") == "pe2"
    assert access.node_of("not an address") == "pe2"
    assert AccessMap([PE1]).node_of("10.1.1.1") is None


def test_localhost_enters_at_the_built_in_networks_default() -> None:
    compute = door(inventory.parse(files.builtin()))
    for client, name in (("127.0.0.1", "pe1"), ("127.0.4.9", "pe4"), ("127.0.7.200", "c2")):
        node = compute.access_node(client)
        assert node is not None
        assert node.name == name


prefixes = st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 32)).map(
    lambda pair: str(ip_network((pair[0], pair[1]), strict=False))
)


@given(st.lists(prefixes, unique=True, max_size=8), st.integers(0, 2**32 - 1))
def test_access_is_what_trying_every_prefix_gives(texts: list[str], client: int) -> None:
    nodes = [
        Node(name=f"n{at}", kind=NodeKind.CORE, address="10.0.0.1", prefixes=(text,))
        for at, text in enumerate(texts)
    ]
    address = ip_address(client)
    holding = [n for n in nodes if address in ip_network(n.prefixes[0])]
    best = max(holding, key=lambda n: ip_network(n.prefixes[0]).prefixlen, default=None)
    assert AccessMap(nodes).node_of(str(address)) == (best.name if best else None)


# --- upkeep


def instance(function: Function, state: FunctionState, node: str = "") -> Instance:
    return Instance(
        id=function.id,
        role=function.role,
        state=state,
        node=node or function.node,
        address="127.0.9.1",
    )


@pytest.mark.parametrize(
    ("state", "starts"),
    [
        (FunctionState.BOOTING, False),
        (FunctionState.ACTIVE, False),
        (FunctionState.FAILED, True),
    ],
)
def test_only_the_failed_and_missing_start(state: FunctionState, starts: bool) -> None:
    have = {EDGE.id: instance(EDGE, state)}
    todo = upkeep.decide({EDGE.id: EDGE, ACQUIRER.id: ACQUIRER}, have, {}, 0.0)
    assert todo.stop == ()
    assert set(todo.start) == {ACQUIRER.id} | ({EDGE.id} if starts else set())


@pytest.mark.parametrize("state", [FunctionState.BOOTING, FunctionState.FAILED])
def test_an_orphan_stops_in_any_state(state: FunctionState) -> None:
    assert upkeep.decide({}, {EDGE.id: instance(EDGE, state)}, {}, 0.0).stop == (EDGE.id,)


def test_a_function_elsewhere_stops_and_starts_anew() -> None:
    have = {EDGE.id: instance(EDGE, FunctionState.ACTIVE, node="pe1")}
    todo = upkeep.decide({EDGE.id: EDGE}, have, {}, 0.0)
    assert (todo.stop, dict(todo.start)) == ((EDGE.id,), {EDGE.id: EDGE})


def test_one_that_vanished_after_its_start_has_failed() -> None:
    seen = upkeep.observe({}, {EDGE.id: HealthRecord(failures=3)}, 50.0)
    assert seen[EDGE.id] == HealthRecord(failures=4, failed_s=50.0)
    todo = upkeep.decide({EDGE.id: EDGE}, {}, seen, 50.5)
    assert (dict(todo.start), todo.waiting) == ({}, {EDGE.id: 1.5})


# --- the door, over the fake VIM, on virtual time


def door(nodes: Inventory | None = None, vim: FakeVim | None = None) -> Compute:
    clock = LoopClock()
    return Compute(nodes or Inventory(nodes=(PE1, PE2)), vim or FakeVim(clock), clock)


def test_nodes_are_listed_and_found() -> None:
    compute = door()
    assert compute.nodes() == [PE1, PE2]
    assert compute.node("pe2") is PE2
    with pytest.raises(NoSuchNode, match="pe9"):
        compute.node("pe9")


@pytest.mark.looptime
async def test_ensure_is_idempotent_and_stops_orphans() -> None:
    compute = door()
    both = {ACQUIRER.id: ACQUIRER, EDGE.id: EDGE}
    first = await compute.ensure(both)
    assert set(first.started) == set(both)
    again = await compute.ensure(both)
    assert (again.started, again.stopped, again.refused, again.again_s) == ((), (), {}, None)
    await asyncio.sleep(1)
    states = {i.state for i in (await compute.running()).values()}
    assert states == {FunctionState.ACTIVE}
    assert (await compute.ensure({EDGE.id: EDGE})).stopped == (ACQUIRER.id,)
    assert set(await compute.running()) == {EDGE.id}
    assert (await compute.stop_all()).stopped == (EDGE.id,)
    assert await compute.running() == {}
    await compute.close()


@pytest.mark.looptime
async def test_two_ensures_at_once_act_once() -> None:
    compute = door()
    one, two = await asyncio.gather(*(compute.ensure({EDGE.id: EDGE}) for _ in range(2)))
    assert sorted((one.started, two.started)) == [(), (EDGE.id,)]


@pytest.mark.looptime
async def test_a_function_that_keeps_failing_is_started_more_and_more_rarely() -> None:
    clock = LoopClock()
    vim = FakeVim(clock)
    compute = door(vim=vim)
    await compute.ensure({EDGE.id: EDGE})
    starts_s = []
    for _ in range(9):
        vim.kill(EDGE.id)
        killed_s = clock.monotonic_s()
        done = await compute.ensure({EDGE.id: EDGE})
        while not done.started:
            assert done.again_s is not None
            await asyncio.sleep(done.again_s)
            done = await compute.ensure({EDGE.id: EDGE})
        starts_s.append(clock.monotonic_s() - killed_s)
    assert starts_s == pytest.approx([0, 0.5, 1, 2, 4, 8, 16, 30, 30])


@pytest.mark.looptime
async def test_a_failure_after_a_long_life_is_mended_at_once() -> None:
    vim = FakeVim(LoopClock())
    compute = door(vim=vim)
    for _ in range(5):
        await compute.ensure({EDGE.id: EDGE})
        await asyncio.sleep(1)
        await compute.ensure({EDGE.id: EDGE})
        await asyncio.sleep(300)
        vim.kill(EDGE.id)
        assert (await compute.ensure({EDGE.id: EDGE})).started == (EDGE.id,)


@pytest.mark.looptime
async def test_a_refusing_node_keeps_no_other_from_starting() -> None:
    vim = FakeVim(LoopClock())
    compute = door(vim=vim)
    vim.refuse("pe1")
    lost = Function(id="edge-pe9-1", role=Role.EDGE, node="pe9")
    wanted = {ACQUIRER.id: ACQUIRER, lost.id: lost, EDGE.id: EDGE}
    done = await compute.ensure(wanted)
    assert done.started == (EDGE.id,)
    assert isinstance(done.refused[ACQUIRER.id], Exhausted)
    assert isinstance(done.refused[lost.id], NoSuchNode)
    assert done.again_s == 0
    done = await compute.ensure(wanted)
    assert done.again_s == 0.5
    waiting = await compute.ensure(wanted)
    assert (waiting.refused, waiting.again_s) == ({}, 0.5)
    vim.accept("pe1")
    await asyncio.sleep(0.5)
    assert (await compute.ensure(wanted)).started == (ACQUIRER.id,)


@pytest.mark.looptime
async def test_changes_wake_the_watcher() -> None:
    vim = FakeVim(LoopClock())
    compute = door(vim=vim)
    told: list[str] = []
    compute.watch(told.append)
    await compute.ensure({EDGE.id: EDGE})
    await asyncio.sleep(1)
    vim.kill(EDGE.id)
    vim.kill(EDGE.id)
    assert told == [EDGE.id, EDGE.id]


# --- what only the fake can do


@pytest.mark.looptime
async def test_the_fake_boots_in_its_time_and_counts_ports_up() -> None:
    vim = FakeVim(LoopClock(), boot_s=0.3, first_port=20_000)
    await vim.spawn(ACQUIRER, PE1)
    await vim.spawn(Function(id="edge-pe1-1", role=Role.EDGE, node="pe1"), PE1)
    await asyncio.sleep(0.29)
    assert (await vim.running())[ACQUIRER.id].state is FunctionState.BOOTING
    await asyncio.sleep(0.02)
    seen = await vim.running()
    assert seen[ACQUIRER.id].ports == {"control": 20000, "http": 20001, "udp": 20002, "rtmp": 20003}
    assert seen["edge-pe1-1"].ports == {"control": 20004, "http": 20005, "udp": 20006}


@pytest.mark.looptime
async def test_the_fake_shows_the_load_it_is_told() -> None:
    vim = FakeVim(LoopClock())
    await vim.spawn(EDGE, PE2)
    vim.set_load(EDGE.id, cpu_cores=0.5, rss_mb=120)
    await asyncio.sleep(1)
    seen = (await vim.running())[EDGE.id]
    assert (seen.state, seen.cpu_cores, seen.rss_mb) == (FunctionState.ACTIVE, 0.5, 120)
    with pytest.raises(NotFound):
        vim.set_load("nobody", cpu_cores=1, rss_mb=1)


@pytest.mark.looptime
async def test_a_lost_node_takes_its_functions_and_no_others() -> None:
    vim = FakeVim(LoopClock())
    await vim.spawn(EDGE, PE2)
    await vim.spawn(ACQUIRER, PE1)
    await asyncio.sleep(1)
    vim.lose_node("pe2")
    seen = await vim.running()
    assert seen[EDGE.id].state is FunctionState.FAILED
    assert seen[EDGE.id].reason == "node pe2 was lost"
    assert seen[ACQUIRER.id].state is FunctionState.ACTIVE
    with pytest.raises(Exhausted):
        await vim.spawn(EDGE, PE2)


# --- pieces of the process driver that need no process


def test_a_stat_line_is_read_whatever_the_command_is_called() -> None:
    rest = "S 7 42 42 0 -1 4194560 1 2 3 4 150 50 6 7 20 0 1 0 98765 12345678 2048 18446744073709"
    for name in ("python", "a) S 1 (b", ")", "two words"):
        process = procfs.parse(f"42 ({name}) {rest}")
        assert process == Process(
            pid=42,
            state="S",
            parent=7,
            session=42,
            cpu_ticks=200,
            threads=1,
            start_ticks=98765,
            rss_pages=2048,
        )


def test_this_process_is_seen_alive() -> None:
    me = procfs.look(os.getpid())
    assert me is not None
    assert me.alive
    assert me.parent == os.getppid()
    assert me.session == os.getsid(0)
    assert me.key in {process.key for process in procfs.scan()}


def process(pid: int, parent: int, session: int, **other: int) -> Process:
    sizes = {"cpu_ticks": 0, "threads": 1, "start_ticks": 0, "rss_pages": 0} | other
    return Process(pid=pid, state="S", parent=parent, session=session, **sizes)


def test_a_family_is_the_session_and_every_descendant() -> None:
    everyone = [
        process(1, 0, 1),
        process(10, 1, 10),
        process(11, 10, 10),
        process(12, 11, 12),  # left the session
        process(13, 12, 12),
        process(14, 1, 10),  # orphaned, still in the session
        process(20, 1, 20),
        process(21, 20, 21),
        process(30, 1, 30),
    ]
    for order in (everyone, everyone[::-1]):
        found = procfs.families(order, {10, 20, 99})
        assert {leader: sorted(p.pid for p in members) for leader, members in found.items()} == {
            10: [10, 11, 12, 13, 14],
            20: [20, 21],
            99: [],
        }


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=10),
    st.sets(st.integers(1, 9)),
)
def test_families_never_overlap_even_when_the_table_is_absurd(
    links: list[tuple[int, int]], leaders: set[int]
) -> None:
    everyone = [process(pid, parent, session) for pid, (parent, session) in enumerate(links)]
    found = procfs.families(everyone, leaders)
    members = [p.pid for family in found.values() for p in family]
    assert len(set(members)) == len(members)
    assert set(found) == leaders


def test_usage_is_the_difference_over_the_time() -> None:
    before = {(10, 5): 100}
    now = [
        process(10, 1, 10, start_ticks=5, cpu_ticks=150, rss_pages=256),
        process(10, 1, 10, start_ticks=9, cpu_ticks=50, rss_pages=256),  # pid taken by a new one
    ]
    used = procfs.usage(before, now, elapsed_s=2.0)
    assert used.cpu_cores == pytest.approx(100 / os.sysconf("SC_CLK_TCK") / 2)
    assert used.rss_mb == pytest.approx(512 * os.sysconf("SC_PAGE_SIZE") / 2**20)
    assert procfs.usage(before, now, elapsed_s=0.0).cpu_cores == 0


def test_the_command_line_is_the_contract() -> None:
    record = Record(
        id="edge-pe4-1", role=Role.EDGE, node="pe4", address="127.0.4.1", ports={"http": 8080}
    )
    folder = Path("/state")
    words = launch.words(("python", "-m", "umbel", "media"), record, folder / "r", folder / "k.pem")
    assert " ".join(words) == (
        "python -m umbel media --id edge-pe4-1 --role edge --address 127.0.4.1"
        " --control-port 0 --http-port 8080 --udp-port 0 --rtmp-port 0"
        " --ready-file /state/r --public-key /state/k.pem"
    )


def test_the_life_cycle_ends_where_it_should() -> None:
    reached = {FunctionState.ABSENT}
    for _ in FunctionState:
        reached |= {
            LIFE_CYCLE.next(state, event)
            for state in reached
            for event in FunctionEvent
            if LIFE_CYCLE.allows(state, event)
        }
    assert reached == set(FunctionState)
    assert not any(LIFE_CYCLE.allows(FunctionState.GONE, event) for event in FunctionEvent)
