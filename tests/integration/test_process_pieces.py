"""Pieces of the process driver that need no process: what the kernel tells, the command line."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from umbel.compute.drivers.process import launch, procfs
from umbel.compute.drivers.process.procfs import Process
from umbel.compute.drivers.process.records import Record, parse
from umbel.compute.model import Description, Function, Port
from umbel.delivery.loop import functions
from umbel.delivery.loop.functions import PORTS
from umbel.delivery.trees.view import Costs
from umbel.media.model import StreamRole


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
    me = procfs.read(os.getpid())
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


def test_the_command_line_of_a_media_server_is_the_contract() -> None:
    folder = Path("/state")
    described = functions.described(folder / "k.pem", Costs(), ("python", "-m", "umbel", "media"))
    edge = Function(id="edge-pe4-1", node="pe4", description=described["edge"])
    words = launch.command_line(edge, record_of(edge, {"http": 8080}), folder / "r")
    assert " ".join(words) == (
        "python -m umbel media --id edge-pe4-1 --role edge --address 127.0.4.1"
        " --control-port 0 --tls-port 0 --http-port 8080 --udp-port 0"
        " --ready-file /state/r --public-key /state/k.pem"
    )
    assert PORTS.keys() == {role.value for role in StreamRole}


def test_only_what_is_known_is_filled_in() -> None:
    words = ("{id}{node}", '{"a": {"b": 1}}', "{id.__class__}", "{0}", "{ports[http]}x")
    some = Description(name="any", command=words, ports=(Port(name="http"),))
    function = Function(id="any-1", node="n", description=some)
    filled = launch.command_line(function, record_of(function, {"http": 80}), Path("/r"))
    assert filled == ["any-1n", '{"a": {"b": 1}}', "{id.__class__}", "{0}", "80x"]


def test_a_functions_environment_is_its_own_and_no_setting_of_ours() -> None:
    some = Description(name="any", command=("x",), environment={"AT": "{address}", "A": "1"})
    function = Function(id="any-1", node="n", description=some, environment={"A": "2"})
    ours = {"PATH": "/bin", "UMBEL_DATABASE_URL": "secret", "UMBEL_LOG_LEVEL": "info"}
    record = record_of(function, {})
    env = launch.environment(ours, function, record, Path("/r"))
    assert parse(env.pop("UMBEL_FUNCTION_RECORD").encode()) == record
    assert env == {
        "PATH": "/bin",
        "UMBEL_LOG_LEVEL": "info",
        "UMBEL_READY_FILE": "/r",
        "AT": "127.0.4.1",
        "A": "2",
    }


def record_of(function: Function, ports: dict[str, int]) -> Record:
    return Record(
        id=function.id,
        owner="delivery",
        description=function.description.name,
        node=function.node,
        address="127.0.4.1",
        wants=function.description.ports,
        ports=ports,
    )
