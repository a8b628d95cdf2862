"""Real functions that are slow, stopped, or gone: who is given up and who is not."""

import os
import signal
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from support.processes import busy_core, is_unharmed, stranger
from support.vim_worlds import HURRIED, OWNER, PE2, ProcessWorld, process_world, until_state
from umbel.compute.drivers.process.guard import Guard
from umbel.compute.drivers.process.records import Record
from umbel.compute.health import Limits
from umbel.compute.model import FunctionState
from umbel.kit.starting import StartLimits, activity

pytestmark = pytest.mark.lab
PATIENT = replace(HURRIED, probe_every_s=60.0)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[ProcessWorld]:
    async with process_world(tmp_path) as it:
        yield it


async def test_a_stopped_function_is_found_with_the_default_limits(world: ProcessWorld) -> None:
    vim = world.open(limits=Limits())
    await vim.start(OWNER, world.edge, PE2)
    await until_state(vim, world.edge.id, FunctionState.ACTIVE)
    os.kill(world.pid(world.edge.id), signal.SIGSTOP)
    # Five seconds on a quiet machine.
    seen = await until_state(vim, world.edge.id, FunctionState.FAILED)
    assert seen.reason == "3 health probes in a row missed"


async def test_a_start_that_the_machine_delays_is_waited_for(world: ProcessWorld) -> None:
    patience = StartLimits(asleep_s=0.25)
    vim = world.open(limits=replace(PATIENT, start=patience))
    core = min(os.sched_getaffinity(0))
    with busy_core(core):
        await vim.start(OWNER, world.edge, PE2)
        pid = world.pid(world.edge.id)
        os.sched_setaffinity(pid, {core})
        await until_state(vim, world.edge.id, FunctionState.ACTIVE, within_s=60.0)
    assert world.pid(world.edge.id) == pid
    # It waited for a processor for longer than a sleeping start is allowed to take.
    assert activity(pid).waited_s > patience.asleep_s


async def test_one_that_is_stopped_while_it_starts_is_killed(world: ProcessWorld) -> None:
    vim = world.open(limits=replace(HURRIED, start=StartLimits(asleep_s=1.0)))
    await vim.start(OWNER, world.edge, PE2)
    os.kill(world.pid(world.edge.id), signal.SIGSTOP)
    seen = await until_state(vim, world.edge.id, FunctionState.FAILED)
    assert seen.reason == "not ready after 1 s of sleep"


async def test_a_released_guard_signals_no_successor_of_its_descriptor() -> None:
    with stranger() as first, stranger() as other:
        record = Record(
            id="x", owner=OWNER, description="x", node="n", address="::1", pid=first.pid
        )
        guard = Guard(record=record, pidfd=os.pidfd_open(first.pid))
        guard.release()
        reused = os.pidfd_open(other.pid)
        try:
            assert reused == guard.pidfd
            guard.ask_to_end()
            guard.kill()
            guard.release()
            assert guard.reap() == "ended"
            assert is_unharmed(other)
        finally:
            os.close(reused)
