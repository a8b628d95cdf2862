"""The live platform writes who watched what; the simulator replays it to the same counts."""

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from support.virtual import PatientDatabase, scenario, until
from support.world import World, world
from umbel.catalogue.model import EventEvent
from umbel.delivery.steering import translation
from umbel.delivery.steering.translation import Audience
from umbel.delivery.store import DeliveryStore
from umbel.delivery.trees.view import NoCapacity
from umbel.planner.problem import Resolution
from umbel.planner.trace import HEADER, BadTrace, Closed, ContentRow, How, Opened, Row, rows_of
from umbel.simulator import run, trace
from umbel.simulator import world as worlds
from umbel.simulator.config import Config, Phase
from umbel.simulator.run import EngineName, Run

Counts = Counter[tuple[str, str]]


def rows(path: Path) -> list[Row]:
    return list(rows_of(path.read_text().splitlines()))


async def until_rows(path: Path, wanted: int, kind: type[Opened | Closed]) -> list[Row]:
    async def there() -> bool:
        text = path.read_text() if path.exists() else ""
        if not text.startswith(HEADER):
            return False
        return sum(isinstance(row, kind) for row in rows(path)) >= wanted

    await until(there, within_s=100, why=f"{wanted} {kind.__name__}")
    return rows(path)


def twin(w: World, *events: str) -> worlds.World:
    """The live network as the planner of `--policy virca` sees it: streams are passed on."""
    collector = w.delivery.collector
    nodes = collector.compute.nodes()
    audience = Audience(
        watching={},
        mbps=dict.fromkeys(events, 2.0),
        resolution=dict.fromkeys(events, Resolution.R720),
    )
    problem = translation.problem_of(
        nodes,
        collector.network.topology.current(),
        collector.costs.viewer_cores,
        audience,
        [node.name for node in nodes],
    )
    return worlds.of_network(problem.network, problem.routing, problem.qoe, problem.power)


def replayed(there: worlds.World, path: Path, engine: EngineName) -> Run:
    found = trace.read(rows(path), there.ends)
    end_s = float(found.requests.until_s.max()) + 1.0
    config = Config(phases=(Phase(duration_s=end_s),))
    return run.replay(config, there, found.catalogue, [found.requests], engine=engine)


def parallel(replay: Run, at_s: float) -> Counts:
    record = replay.record
    some = record.requests
    now = (some.time_s <= at_s) & (some.until_s > at_s) & record.served
    ends, names = record.world.ends, record.catalogue.names
    pairs = zip(some.end[now].tolist(), some.content[now].tolist(), strict=True)
    return Counter((ends[end], names[content]) for end, content in pairs)


async def watching(w: World) -> Counts:
    return Counter(
        {(node, event): count for event, node, count, _at in await w.delivery.store.audience()}
    )


@scenario
async def test_a_live_evening_is_replayed_to_the_same_counts(tmp_path: Path) -> None:
    path = tmp_path / "evening.trace"
    async with world(tmp_path, settings={"trace_file": path}) as w:
        council, match = await w.live("pe1"), await w.live("pe3")
        begun_s = w.clock.now_s()
        seen: list[tuple[float, Counts]] = []
        tickets = []
        for node, event, count in [("pe2", council, 3), ("pe4", council, 2), ("pe5", match, 4)]:
            tickets += [await w.watch(event, node) for _ in range(count)]
            await asyncio.sleep(7)
            seen.append((w.clock.now_s(), await watching(w)))
        await w.delivery.close_session(tickets[0].session.id)
        await w.delivery.close_session(tickets[-1].session.id)
        await asyncio.sleep(7)
        seen.append((w.clock.now_s(), await watching(w)))
        vanished = tickets[1].session
        w.media.set_viewers(vanished.function, council, {tickets[2].session.id})
        await asyncio.sleep(w.timing.session_idle_s + 3 * w.timing.sweep_s)
        seen.append((w.clock.now_s(), await watching(w)))
        await w.system.catalogue.transition(match, EventEvent.END)
        await w.delivery.end(match)
        await w.until_functions(
            "acquirer-pe1-1", "edge-pe2-1", "edge-pe4-1", "forwarder-c1-1", "forwarder-c2-1"
        )
        await asyncio.sleep(5)
        seen.append((w.clock.now_s(), await watching(w)))
        tickets.append(await w.watch(council, "pe2"))
        there = twin(w, council, match)
        await until_rows(path, 10, Opened)
    assert [sum(counts.values()) for _at, counts in seen] == [3, 5, 9, 7, 6, 3]
    assert path.stat().st_mode & 0o777 == 0o600
    origin_s = rows(path)[0].unix_s
    assert origin_s <= begun_s
    for engine in EngineName:
        replay = replayed(there, path, engine)
        assert replay.totals().requests == len(tickets) == 10
        assert replay.totals().rejection_ratio == 0.0
        for at_s, counts in seen:
            assert parallel(replay, at_s - origin_s) == counts
    opened = [row for row in rows(path) if isinstance(row, Opened)]
    assert [row.session for row in opened] == [ticket.session.id for ticket in tickets]
    times = [row.time_s for row in opened]
    wanted = [ticket.session.opened_s - origin_s for ticket in tickets]
    assert times == pytest.approx(wanted, abs=0.001)


@scenario
async def test_a_smaller_picture_is_a_content_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "trace"
    async with world(tmp_path, settings={"trace_file": path}) as w:
        event = await w.live()
        await w.watch(event, "pe2")
        small = await w.delivery.open_session(event, "pe2", "360p")
        written = await until_rows(path, 2, Opened)
    seen = [(row.content, row.resolution) for row in written if isinstance(row, Opened)]
    assert seen == [(event, Resolution.R720), (small.session.stream, Resolution.R360)]
    lengths = {row.name: row.duration_s for row in written if isinstance(row, ContentRow)}
    assert lengths[event] == lengths[small.session.stream] > 1


@scenario
async def test_who_found_no_room_is_told(tmp_path: Path) -> None:
    path = tmp_path / "trace"
    async with world(tmp_path, settings={"trace_file": path}) as w:
        event = await w.live("pe1")
        for number in range(2, 6):
            await w.live(f"pe{number}")
        for function in w.states():
            w.vim.set_load(function, cpu_cores=2.0, rss_mb=100)
        await asyncio.sleep(2)
        for _ in range(2):
            with pytest.raises(NoCapacity):
                await w.delivery.open_session(event, "pe2")
        found = await until_rows(path, 2, Closed)
    closed = [row for row in found if isinstance(row, Closed)]
    assert [row.how for row in closed] == [How.REFUSED] * 2
    opened = {row.session: row for row in found if isinstance(row, Opened)}
    assert [opened[row.session].end for row in closed] == ["pe2"] * 2
    assert all(opened[row.session].time_s == row.time_s for row in closed)


@scenario
async def test_who_vanished_with_his_node_was_lost(tmp_path: Path) -> None:
    path = tmp_path / "trace"
    async with world(tmp_path, settings={"trace_file": path}) as w:
        event = await w.live("pe1")
        near, far = await w.watch(event, "pe2"), await w.watch(event, "pe4")
        w.vim.lose_node("pe4")
        w.media.lose(far.session.function)
        w.media.set_viewers(near.session.function, event, ())
        found = await until_rows(path, 2, Closed)
    how = {row.session: row.how for row in found if isinstance(row, Closed)}
    assert how == {near.session.id: How.LEFT, far.session.id: How.LOST}


@scenario
async def test_the_next_control_plane_goes_on_with_the_trace(tmp_path: Path) -> None:
    path = tmp_path / "trace"
    async with world(tmp_path, settings={"trace_file": path}) as w:
        event = await w.live("pe1")
        stays, leaves = await w.watch(event, "pe2"), await w.watch(event, "pe4")
        first = await until_rows(path, 2, Opened)
        await w.crash()
        with path.open("a") as file:
            file.write("open,99")  # the machine died as it wrote
        other = PatientDatabase(w.system.settings.database)  # another instance goes on
        await DeliveryStore(other).close_session(leaves.session, at_s=w.clock.now_s())
        await other.close()
        await w.start()
        comes = await w.watch(event, "pe5")
        found = await until_rows(path, 3, Opened)
    assert found[: len(first)] == first
    opened = [row.session for row in found if isinstance(row, Opened)]
    assert opened == [stays.session.id, leaves.session.id, comes.session.id]
    assert [row.session for row in found if isinstance(row, Closed)] == [leaves.session.id]
    trace.read(found, ["pe2", "pe4", "pe5"])


@scenario
async def test_a_trace_that_is_moved_away_begins_anew(tmp_path: Path) -> None:
    path = tmp_path / "trace"
    async with world(tmp_path, settings={"trace_file": path}) as w:
        event = await w.live("pe1")
        early = await w.watch(event, "pe2")
        await until_rows(path, 1, Opened)
        path.rename(tmp_path / "old")
        late = await w.watch(event, "pe4")
        found = await until_rows(path, 2, Opened)
    opened = [row for row in found if isinstance(row, Opened)]
    assert [row.session for row in opened] == [early.session.id, late.session.id]
    assert opened[0].time_s == 0.0
    assert isinstance(found[1], ContentRow)
    trace.read(found, ["pe2", "pe4"])


@pytest.mark.parametrize("content", ["Dear diary,\n", "umbel-trace,1\nwhat is this\n", "u"])
def test_a_file_that_is_something_else_stays_as_it_is(tmp_path: Path, content: str) -> None:
    path = tmp_path / "trace"
    path.write_text(content)

    @scenario
    async def watched() -> None:
        async with world(tmp_path, settings={"trace_file": path}) as w:
            event = await w.live("pe1")
            ticket = await w.watch(event, "pe2")
            assert await w.arrives(ticket)
            if content == "u":  # the header, cut off
                await until_rows(path, 1, Opened)
            await w.delivery.close_session(ticket.session.id)
            await asyncio.sleep(5)

    watched()
    if content != "u":
        assert path.read_text() == content
    with pytest.raises(BadTrace):
        list(rows_of(["Dear diary,"]))
