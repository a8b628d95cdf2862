"""The process driver: functions as processes that outlive the control plane.

In: start and stop from above; exits by pidfd, ready files and health answers from below.
Out: instances and `on_change` calls. All that is known is in records.py's files and in /proc, so
a control plane that starts over the same directory continues where a dead one left.
"""

import asyncio
import errno
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import structlog

from umbel.compute import probe
from umbel.compute.drivers.process import environment_records, launch, procfs
from umbel.compute.drivers.process.environment_records import Marked
from umbel.compute.drivers.process.executors import Executor, HostExecutor
from umbel.compute.drivers.process.fork_server import ForkServer, ForkServerProgram
from umbel.compute.drivers.process.guard import Guard
from umbel.compute.drivers.process.host import HostMeter
from umbel.compute.drivers.process.records import Record, Records
from umbel.compute.health import Limits, Pulse, after_probe, is_lost
from umbel.compute.model import Function, FunctionState, HostUsage, Instance, Node, Readiness
from umbel.compute.ports import FunctionTaken, MachineFull
from umbel.kit.clock import Clock
from umbel.kit.errors import Unavailable
from umbel.kit.fork_server import Order
from umbel.kit.starting import StartWatch, activities, activity

log = structlog.get_logger(__name__)

_LOOK_FOR_READY_EVERY_S = 0.05
_FORK_SERVER = "fork-server"
"""Its log's name."""
_NO_ROOM = (errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.ENOSPC)


class ProcessVim:
    """Runs functions on this machine, whatever node they are for: a node is an address here, or
    a network namespace with one. It starts what a description's command says; it has no images.

    `executor` is where on this machine a node's processes run; `forks` the program whose functions
    a fork server starts. All calls on one event loop.
    """

    def __init__(
        self,
        state_dir: Path,
        clock: Clock,
        *,
        limits: Limits = Limits(),
        executor: Executor = HostExecutor(),
        forks: ForkServerProgram | None = None,
    ) -> None:
        self._records = Records(state_dir)
        self._clock = clock
        self._limits = limits
        self._executor = executor
        log_path = self._records.log_path(_FORK_SERVER)
        self._fork_server = ForkServer(forks, log_path, limits.start)
        self._guards: dict[str, Guard] = {}
        self._ending: dict[str, asyncio.Task[None]] = {}
        self._watchers: list[Callable[[str], None]] = []
        self._sampler: asyncio.Task[None] | None = None
        self._host = HostMeter(limits.sample_every_s, clock.monotonic_s())
        self._searched = False

    @property
    def fork_server_pid(self) -> int:
        """The process that forks functions; 0 for none."""
        return self._fork_server.pid

    async def start(self, owner: str, function: Function, node: Node) -> None:
        await self._fork_server.ready_for(function.description.command)
        await self._ended(function.id)
        # From here to the guard nothing is awaited: a second start of this id finds the guard.
        self._adopt()
        last = self._records.get(function.id)
        if last is not None and last.owner != owner:
            raise FunctionTaken(function=function.id, owner=last.owner)
        if function.id not in self._guards:
            self._start(owner, function, node, last)

    async def stop(self, function_id: str) -> None:
        self._adopt()
        if function_id not in self._ending:
            task = asyncio.create_task(self._end(function_id), name=f"end:{function_id}")
            self._ending[function_id] = task
        # A caller that gives up must not leave a function half stopped.
        await asyncio.shield(self._ending[function_id])

    async def running(self) -> dict[str, Instance]:
        self._adopt()
        found = {}
        for id_ in self._records.ids():
            guard = self._guards.get(id_)
            if guard is not None:
                self._check_ready(guard)
                found[id_] = guard.instance()
            elif id_ not in self._ending:
                record = self._records.get(id_)
                found |= {} if record is None else {id_: _failed(record)}
        return found

    async def hosts(self, nodes: Sequence[Node]) -> dict[str, HostUsage]:
        """All nodes are on this machine."""
        usage = self._host.usage(self._clock.monotonic_s())
        return {node.name: usage for node in nodes}

    def watch(self, on_change: Callable[[str], None]) -> None:
        self._watchers.append(on_change)
        self._adopt()

    async def close(self) -> None:
        self._watchers.clear()
        self._fork_server.close()
        if self._ending:
            await asyncio.wait(self._ending.values())
        tasks = [guard.task for guard in self._guards.values()] + [self._sampler]
        for guard in self._guards.values():
            guard.release()
        self._guards.clear()
        self._sampler = None
        live = [task for task in tasks if task is not None]
        for task in live:
            task.cancel()
        await asyncio.gather(*live, return_exceptions=True)

    # --- what is there already

    def _adopt(self) -> None:
        """Watch what runs and is not watched yet, a dead predecessor's or a neighbour's; and
        notice what has ended even before the loop tells."""
        for guard in list(self._guards.values()):
            if not guard.is_there():
                self._on_exit(guard)
        marked = {} if self._searched else environment_records.find(self._records)
        for id_ in dict.fromkeys([*self._records.ids(), *marked]):
            if id_ not in self._guards and id_ not in self._ending:
                self._adopt_one(id_, marked.get(id_))
        self._searched = True

    def _adopt_one(self, function_id: str, marked: Marked | None) -> None:
        record = self._records.get(function_id)
        if record is None:
            record = self._recovered(function_id, marked)
        elif record.pid == 0 and marked is not None:
            # The predecessor died between starting it and noting its pid.
            process = marked.process
            record = replace(record, pid=process.pid, start_ticks=process.start_ticks)
        if record is None or record.pid == 0:
            return
        pidfd = procfs.open_exactly(record.pid, record.start_ticks)
        if pidfd is not None:
            # The predecessor may have died before it noted that the function is ready, and where.
            self._check_ready(self._guard(record, pidfd))
            log.info("function adopted", id=record.id, pid=record.pid)
            return
        procfs.kill_strays(record.pid, record.start_ticks)
        procfs.reap_exactly(record.pid, record.start_ticks)
        self._remember(
            replace(record, pid=0, is_ready=False, reason="ended while the control plane was down")
        )

    def _recovered(self, function_id: str, marked: Marked | None) -> Record | None:
        """The record of a process whose file is lost or cannot be read, from its environment. A
        process without one is ended: it could be neither watched nor stopped. Where there is no
        process, a file that cannot be read is removed."""
        is_broken = self._records.is_broken(function_id)
        if marked is None and is_broken:
            marked = environment_records.find(self._records).get(function_id)
        record = marked.record if marked is not None else None
        if record is not None:
            log.warning("function record restored", id=function_id, pid=record.pid)
            self._remember(record)
            return record
        if marked is not None:
            log.warning("function without a record ended", id=function_id, pid=marked.process.pid)
            procfs.kill_family(marked.process)
        if is_broken:
            log.warning("unreadable function record removed", id=function_id)
            self._records.remove(function_id)
        return None

    # --- starting

    async def _ended(self, function_id: str) -> None:
        """Wait until an earlier life of the function that is being ended has ended."""
        while True:
            guard = self._guards.get(function_id)
            if function_id in self._ending:
                await asyncio.wait([self._ending[function_id]])
            elif guard is not None and guard.reason:
                if not await guard.exits_within(self._limits.stop_within_s):
                    raise Unavailable(f"Function {function_id} does not end", function=function_id)
            else:
                return

    def _start(self, owner: str, function: Function, node: Node, last: Record | None) -> None:
        described = function.description
        record = Record(
            id=function.id,
            owner=owner,
            description=described.name,
            node=node.name,
            address=node.address,
            wants=described.ports,
            readiness=described.readiness,
            health=described.health,
            started_s=self._clock.now_s(),
            ports=last.ports if last is not None and last.address == node.address else {},
            port_range=node.ports,
        )
        try:
            ports = self._executor.run_at(node.name, lambda: launch.ports_for(record))
            self._launch(function, replace(record, ports=ports))
        except OSError as error:
            if function.id not in self._guards:
                self._restore(function.id, last)
            kind = MachineFull if error.errno in _NO_ROOM else Unavailable
            message = f"Function {function.id} cannot be started: {error.strerror}"
            raise kind(message, function=function.id, node=node.name) from error

    def _launch(self, function: Function, record: Record) -> None:
        ready_path = self._records.ready_path(record.id)
        argv = launch.command_line(function, record, ready_path)
        env = launch.environment(os.environ, function, record, ready_path)
        log_path = self._records.log_path(record.id)
        # Noted before it exists, so that a crash of ours leaves no process without a record.
        self._records.put(record)
        ready_path.unlink(missing_ok=True)
        order = Order(name=record.id, words=tuple(argv), environment=env)
        with self._executor.namespace(record.node) as namespace:
            pid = self._fork_server.fork(order, log_path, namespace)
        if not pid:
            pid = self._executor.run_at(record.node, lambda: launch.start(argv, env, log_path))
        # Until we reap our child its pid stays its own, even if it has ended already.
        process = procfs.read(pid)
        started = replace(record, pid=pid, start_ticks=process.start_ticks if process else 0)
        self._guard(started, os.pidfd_open(pid))
        self._records.put(started)

    def _restore(self, function_id: str, last: Record | None) -> None:
        if last is None:
            self._records.remove(function_id)
        else:
            self._remember(last)

    def _guard(self, record: Record, pidfd: int) -> Guard:
        loop = asyncio.get_running_loop()
        guard = Guard(record=record, pidfd=pidfd)
        self._guards[record.id] = guard
        loop.add_reader(pidfd, self._on_exit, guard)
        guard.task = loop.create_task(self._supervise(guard), name=f"attend:{record.id}")
        if self._sampler is None:
            self._sampler = loop.create_task(self._sample(), name="sample functions")
        return guard

    # --- watching

    async def _supervise(self, guard: Guard) -> None:
        guard.reason = await self._await_ready(guard) or await self._probe_until_lost(guard)
        log.warning("function given up", id=guard.record.id, reason=guard.reason)
        guard.kill()

    async def _await_ready(self, guard: Guard) -> str:
        """Wait until it is ready; the result is why it was given up, or empty."""
        start = StartWatch(
            self._clock.monotonic_s(), activities(guard.record.pid), self._limits.start
        )
        while not (self._check_ready(guard) or await self._passes(guard)):
            reason = start.look(self._clock.monotonic_s(), activities(guard.record.pid))
            if reason:
                return reason
            await asyncio.sleep(_LOOK_FOR_READY_EVERY_S)
        return ""

    async def _probe_until_lost(self, guard: Guard) -> str:
        """Probe it for as long as it answers; the result is why it is given up."""
        limits, pulse, took_s = self._limits, Pulse(), 0.0
        if guard.record.health is None:
            await asyncio.Event().wait()  # only its exit is watched
        while not is_lost(pulse, limits):
            await asyncio.sleep(max(0.0, limits.probe_every_s - took_s))
            began_s, before = self._clock.monotonic_s(), activity(guard.record.pid)
            answered = await self._answers(guard.record)
            took_s = self._clock.monotonic_s() - began_s
            spent = activity(guard.record.pid).since(before)
            pulse = after_probe(pulse, answered=answered, took_s=took_s, spent=spent, limits=limits)
        return f"{pulse.misses} health probes in a row missed"

    async def _answers(self, record: Record) -> bool:
        check = record.health
        if check is None:
            return True
        port = record.ports.get(check.port, 0)
        return await probe.answers(record.address, port, check.path, self._limits.probe_deadline_s)

    async def _passes(self, guard: Guard) -> bool:
        """Whether one that does not report is ready: it passes its health check."""
        if guard.record.readiness is not Readiness.PROBED:
            return False
        if not await self._answers(guard.record):
            return False
        guard.record = replace(guard.record, is_ready=True)
        return self._check_ready(guard)

    def _check_ready(self, guard: Guard) -> bool:
        if guard.ports is None:
            guard.ports = self._records.ready_ports(guard.record)
            if guard.ports is not None:
                guard.record = replace(guard.record, ports=guard.ports)
                self._remember(guard.record)
                self._fork_server.keep()
                self._notify(guard.record.id)
        return guard.ports is not None

    def _on_exit(self, guard: Guard) -> None:
        id_ = guard.record.id
        if self._guards.get(id_) is not guard:
            return
        del self._guards[id_]
        procfs.kill_strays(guard.record.pid, guard.record.start_ticks)
        end = guard.reap()
        guard.release()
        if guard.task is not None:
            guard.task.cancel()
        if guard.is_ending:
            return
        # A neighbour may have removed it or started it again already: then the file is not ours.
        record = self._records.get(id_)
        if record is not None and record.pid == guard.record.pid:
            self._remember(replace(record, pid=0, is_ready=False, reason=guard.reason or end))
        log.warning("function failed", id=id_, reason=guard.reason, end=end)
        self._notify(id_)

    async def _sample(self) -> None:
        while True:
            leaders = {guard.record.pid for guard in self._guards.values()}
            families = await asyncio.to_thread(_families, leaders)
            for guard in list(self._guards.values()):
                family = families.get(guard.record.pid, [])
                guard.sample(family, self._clock.monotonic_s())
                launch.bound_log(self._records.log_path(guard.record.id))
            await asyncio.sleep(self._limits.sample_every_s)

    # --- ending

    async def _end(self, function_id: str) -> None:
        try:
            guard = self._guards.get(function_id)
            if guard is not None:
                await self._stop(guard)
            self._records.remove(function_id)
        finally:
            del self._ending[function_id]

    async def _stop(self, guard: Guard) -> None:
        guard.is_ending = True
        guard.ask_to_end()
        if await guard.exits_within(self._limits.stop_within_s):
            return
        guard.kill()
        if not await guard.exits_within(self._limits.stop_within_s):
            guard.is_ending, guard.reason = False, "does not end"
            id_ = guard.record.id
            raise Unavailable(f"Function {id_} does not end", function=id_)

    # --- small ones

    def _remember(self, record: Record) -> None:
        """Write the record; a full disk must not stop the watching."""
        try:
            self._records.put(record)
        except OSError as error:
            log.error("function record not written", id=record.id, reason=str(error))  # noqa: TRY400

    def _notify(self, function_id: str) -> None:
        for on_change in list(self._watchers):
            on_change(function_id)


def _families(leaders: set[int]) -> Mapping[int, list[procfs.Process]]:
    return procfs.families(procfs.scan(), leaders)


def _failed(record: Record) -> Instance:
    return Instance(
        id=record.id,
        owner=record.owner,
        description=record.description,
        node=record.node,
        state=FunctionState.FAILED,
        address=record.address,
        started_s=record.started_s,
        reason=record.reason,
    )
