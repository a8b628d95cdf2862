"""What the control plane believes while it looks: a slow answer takes no picture from a viewer."""

import asyncio
from dataclasses import dataclass, field
from pathlib import Path

from support.virtual import scenario
from support.world import world
from umbel.delivery.loop.stream_states import Answers
from umbel.kit.errors import Unavailable
from umbel.media.drivers.fake import FakeMedia
from umbel.media.model import Server, StreamRole, StreamSpec, StreamState, Target
from umbel.media.service import Media


@dataclass
class SlowMedia(FakeMedia):
    """Media servers whose answers are what they were when asked, and take their time. `let_go`
    are the hops that a function was told to send to no more."""

    patience_s: dict[str, float] = field(default_factory=dict)
    let_go: list[tuple[str, Target]] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    async def observe(self, server: Server) -> dict[str, StreamState]:
        answer = await super().observe(server)
        await asyncio.sleep(self.patience_s.get(server.function_id, 0.0))
        return answer

    async def ensure(self, server: Server, spec: StreamSpec) -> StreamState:
        before = (await super().observe(server)).get(spec.stream)
        if before is not None:
            gone = set(before.hops) - set(spec.hops)
            self.let_go += ((server.function_id, hop) for hop in gone)
        return await super().ensure(server, spec)


@dataclass
class SilentMedia(FakeMedia):
    """Functions that do not answer any more."""

    silent: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        super().__init__()

    async def observe(self, server: Server) -> dict[str, StreamState]:
        if server.function_id in self.silent:
            raise Unavailable
        return await super().observe(server)


@scenario
async def test_a_function_that_answers_slowly_stays_fed(tmp_path: Path) -> None:
    media = SlowMedia()
    async with world(tmp_path, media=media) as w:
        event = await w.live()
        viewer = await w.watch(event, "pe4")
        media.patience_s["edge-pe4-1"] = 0.7
        for _ in range(20):
            looking = asyncio.create_task(w.delivery.collector.refresh_function("edge-pe4-1"))
            await asyncio.sleep(0.1)
            w.delivery.controller.wake(event)
            await asyncio.sleep(0.3)
            assert await w.arrives(viewer)
            await looking
            assert await w.arrives(viewer)


@scenario
async def test_a_function_that_came_meanwhile_is_not_forgotten(tmp_path: Path) -> None:
    await join_while_looking(tmp_path, "forwarder-c1-1", "forwarder-c2-1")


@scenario
async def test_what_was_done_meanwhile_is_newer_than_a_slow_answer(tmp_path: Path) -> None:
    await join_while_looking(tmp_path, "edge-pe5-1", "edge-pe2-1", "edge-pe3-1")


async def join_while_looking(folder: Path, *slow: str) -> None:
    """Viewers at three edges, which another event has or has not started before."""
    media = SlowMedia()
    async with world(folder, media=media) as w:
        event, other = await w.live(), await w.live("pe3")
        first = await w.watch(event, "pe4")
        for node in ("pe5", "pe2", "pe3"):
            if f"edge-{node}-1" in slow:
                await w.watch(other, node)
        media.patience_s.update(dict.fromkeys(slow, 1.5))
        media.let_go.clear()
        for node in ("pe5", "pe2", "pe3"):
            looking = asyncio.create_task(w.delivery.collector.refresh())
            await asyncio.sleep(0.1)
            joiner = await w.watch(event, node)
            await looking
            for _ in range(10):
                assert await w.arrives(first)
                assert await w.arrives(joiner)
                await asyncio.sleep(0.2)
        assert media.let_go == []


@scenario
async def test_a_step_done_while_a_look_is_under_way_is_remembered() -> None:
    media = SlowMedia()
    media.patience_s["edge-1"] = 1.0
    server = Server(function_id="edge-1", address="127.0.0.1", control_port=1, secret="")
    old = StreamSpec(stream="ev_old", role=StreamRole.EDGE)
    await media.ensure(server, old)
    answers = Answers(media=Media(media))
    looking = asyncio.create_task(answers.poll([server], {"edge-1"}))
    await asyncio.sleep(0.5)
    state = await media.ensure(server, StreamSpec(stream="ev_new", role=StreamRole.EDGE))
    answers.note("edge-1", state, "ev_new")
    answers.note("edge-1", None, "ev_old")
    await looking
    assert answers.streams == {"edge-1": {"ev_new": state}}


@scenario
async def test_a_silent_function_that_runs_carries_what_it_carried() -> None:
    media = SilentMedia()
    server = Server(function_id="edge-1", address="127.0.0.1", control_port=1, secret="")
    state = await media.ensure(server, StreamSpec(stream="ev", role=StreamRole.EDGE))
    answers = Answers(media=Media(media))
    await answers.poll([server], {"edge-1"})
    assert answers.heard == {"edge-1"}
    media.silent.add("edge-1")
    for running in ({"edge-1"}, set[str]()):
        await answers.poll([server], {"edge-1"}, running)
        await answers.poll_function("edge-1", [server], running)
        assert answers.streams == ({"edge-1": {"ev": state}} if running else {})
        assert answers.heard == set()
    media.silent.clear()
    await answers.poll([server], {"edge-1"})
    answers.forget("edge-1")
    assert (answers.streams, answers.heard) == ({}, set())
