"""One node in a cloud, as the VIM uses it: its functions' servers, and what is done with them.

In: functions. Out: instances, and `on_change` calls. Clouds report nothing by themselves, so all
servers of the node are listed each second, by one call; each that runs is attended.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import replace

import structlog

from umbel.compute import guest_start
from umbel.compute.attending import Attendant, Guarded, Report
from umbel.compute.clouds.model import CloudNode
from umbel.compute.drivers.openstack import observed, servers
from umbel.compute.drivers.openstack.client import CloudClient
from umbel.compute.drivers.openstack.context import CloudContext
from umbel.compute.drivers.openstack.observed import SeenServer, ServerPower
from umbel.compute.drivers.openstack.project import Project
from umbel.compute.drivers.openstack.servers import ServerOrder, ServerRecord
from umbel.compute.hypervisors.model import NoSuchGuest
from umbel.compute.model import Function, FunctionState, Instance, Node
from umbel.kit import backoff
from umbel.kit.errors import UmbelError

log = structlog.get_logger(__name__)

_AGAIN = {"first_s": 0.5, "longest_s": 15.0}
_CONSOLE_LINES, _MOST_LINES = 200, 2000
_FAULT_LOOKS = 5


class CloudLink:
    """To one node. All calls on one event loop. It raises CloudUnreachable, CloudDenied and
    CloudFailed."""

    def __init__(
        self, there: CloudNode, around: CloudContext, on_change: Callable[[str], None]
    ) -> None:
        self.there = there
        self._around = around
        self._on_change = on_change
        self._client = CloudClient(there, around.limits.call_s)
        self.project = Project(self._client, there, around)
        self._seen: dict[str, SeenServer] = {}
        """Each function's server, as last listed."""
        self._attendants: dict[str, Attendant] = {}
        self._ended: set[str] = set()
        """The servers, by id, that we ended: what is shown of them is no news."""
        self._asking: dict[str, asyncio.Task[None]] = {}
        """The servers, by id, that are off for a reason that is being found out."""
        self._explained: dict[str, str] = {}
        """Why servers are off, by id: a cloud keeps nothing with one that it could not start."""
        self._turn = asyncio.Lock()
        self._has_looked = False
        self._task = asyncio.create_task(self._listen(), name=f"listen:{there.name}")

    async def instances(self) -> Mapping[str, Instance]:
        """Every function there, by id."""
        return {id_: _instance(one) for id_, one in (await self._look()).items()}

    async def is_ready(self) -> bool:
        """Whether the hypervisors of all servers answered their cloud when these were listed."""
        return not any(one.is_silent for one in self._seen.values())

    async def start(self, owner: str, function: Function, node: Node) -> None:
        """Make the function's server; an earlier one is removed. It gets the ports and the address
        that the last one had."""
        now_s = self._around.clock.now_s()
        order = ServerOrder(
            owner=owner, function=function, node=node, there=self.there, now_s=now_s
        )
        image = self._around.images.get(guest_start.image_of(function))
        last = self._seen.get(function.id)
        await self._unattend(function.id)
        if last is not None:
            await self._end(last, self.project.delete_server)
        files = await asyncio.to_thread(self._file_texts)
        had = last.record if last is not None else None
        self._seen[function.id] = await self.project.create_server(order, image, had, files)

    async def remove(self, function_id: str) -> None:
        """Have the function end, and leave nothing of it there."""
        await self._unattend(function_id)
        for one in await self.project.servers_of(function_id):
            await self._end(one, self.project.end_server)
        await self.project.delete_port(function_id)

    async def close(self) -> None:
        """Let go of it. Functions go on."""
        tasks = [self._task, *self._asking.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for function_id in list(self._attendants):
            await self._unattend(function_id)
        await self._client.close()

    # -- what only guests can do ------------------------------------------------------------

    async def suspend(self, function_id: str) -> None:
        """Stop the guest's processors; its memory stays."""
        await self._become(function_id, "PAUSED")

    async def resume(self, function_id: str) -> None:
        """Let the guest continue."""
        await self._become(function_id, "ACTIVE")

    async def console(self, function_id: str) -> str:
        """The end of what the guest said on its console."""
        return await self.project.console(await self._having(function_id), _MOST_LINES)

    # -- for attendants ---------------------------------------------------------------------

    async def is_on(self, function_id: str) -> bool | None:
        """Whether the server runs, and is not held; None where it is off or gone."""
        seen = self._seen.get(function_id)
        if seen is None or seen.power is ServerPower.OFF:
            return None
        return seen.power is ServerPower.ON and not seen.is_silent

    async def report(self, function_id: str) -> Report:
        """What is said inside the guest. Nothing can be read there but its console, where it says
        how its function ended: that is read once it does not run."""
        return Report(is_answering=True, ports=self._seen[function_id].record.ports)

    async def keep_ready(self, function_id: str, ports: Mapping[str, int]) -> None:
        """Note that the function is ready."""
        seen = await self._having(function_id)
        await self.project.keep(seen, {servers.READY: "yes"})
        record = replace(seen.record, is_ready=True)
        self._seen[function_id] = replace(seen, record=record)

    async def give_up(self, function_id: str, reason: str) -> None:
        """Switch the server off, and keep why: what its function said last, where it ended."""
        seen = await self._having(function_id)
        kept = servers.reason(await self._last_words(seen) or reason)
        await self.project.keep(seen, {servers.REASON: kept})
        self._seen[function_id] = replace(
            seen, power=ServerPower.OFF, reason=kept, is_explained=True
        )
        await self.project.switch_off(seen)

    # -- inside -----------------------------------------------------------------------------

    async def _end(self, seen: SeenServer, work: Callable[[SeenServer], Awaitable[None]]) -> None:
        self._ended.add(seen.server_id)
        try:
            await work(seen)
        except BaseException:
            self._ended.discard(seen.server_id)  # it may run on
            raise
        had = self._seen.get(seen.record.id)
        if had is not None and had.server_id == seen.server_id:
            del self._seen[seen.record.id]

    def _file_texts(self) -> dict[str, tuple[str, str]]:
        texts = enumerate(self._around.files)
        return {f"file-{number}": (str(path), path.read_text()) for number, path in texts}

    async def _having(self, function_id: str) -> SeenServer:
        seen = self._seen.get(function_id)
        if seen is None:
            seen = (await self._look()).get(function_id)
        if seen is None:
            raise NoSuchGuest(f"No server runs {function_id}", function=function_id)
        return seen

    async def _become(self, function_id: str, status: str) -> None:
        await self.project.become(await self._having(function_id), status)
        await self._look()

    async def _look(self) -> Mapping[str, SeenServer]:
        """What there is now. Each look is of a time after the last one's."""
        async with self._turn:
            before = dict(self._seen)
            found = await self.project.servers(self._ended)
            now = self._seen
            # What was done while the cloud listed them is newer than the list.
            newer = {id_: one for id_, one in now.items() if before.get(id_) != one}
            removed = before.keys() - now.keys()
            listed = {id_: self._held(one) for id_, one in found.items() if id_ not in removed}
            # One that is being ended is there until it is gone.
            ending = {id_: one for id_, one in now.items() if one.server_id in self._ended}
            self._seen = {**ending, **listed, **newer}
            self._compare(now)
            return self._seen

    def _held(self, seen: SeenServer) -> SeenServer:
        """The server; one that is off is held until it is known why."""
        if seen.power is not ServerPower.OFF or seen.is_explained:
            return seen
        if (reason := self._explained.get(seen.server_id)) is not None:
            return replace(seen, reason=reason, is_explained=True)
        if seen.server_id not in self._asking:
            task = asyncio.create_task(self._explain(seen), name=f"explain:{seen.record.id}")
            self._asking[seen.server_id] = task
            task.add_done_callback(lambda _: self._asking.pop(seen.server_id))
        return replace(seen, power=ServerPower.HELD, reason="")

    async def _explain(self, seen: SeenServer) -> None:
        """Find out why the server is off, and keep it."""
        found = await self._last_words(seen)
        if not found and seen.status == "ERROR":
            found = await self._fault(seen)
        reason = servers.reason(found or seen.reason)
        with suppress(UmbelError):
            await self.project.keep(seen, {servers.REASON: reason})
        self._explained[seen.server_id] = reason
        now = self._seen.get(seen.record.id)
        if now is not None and now.server_id == seen.server_id and now.power is not ServerPower.OFF:
            self._seen[seen.record.id] = replace(seen, reason=reason, is_explained=True)
            self._wake(seen.record.id)

    async def _last_words(self, seen: SeenServer) -> str:
        """How the function ended, where its console can be read and says it."""
        try:
            return observed.ended(await self.project.console(seen, _CONSOLE_LINES))
        except UmbelError as error:
            log.warning("console not read", id=seen.record.id, reason=error.message)
            return ""

    async def _fault(self, seen: SeenServer) -> str:
        """What the cloud says of a server that it could not start; it says it a moment later."""
        for _ in range(_FAULT_LOOKS):
            with suppress(UmbelError):
                if found := await self.project.fault(seen):
                    return found
            await asyncio.sleep(self._around.limits.look_every_s)
        return ""

    def _compare(self, before: Mapping[str, SeenServer]) -> None:
        for id_, one in self._seen.items():
            had = before.get(id_)
            is_new = had is None or had.server_id != one.server_id
            if one.server_id in self._ended:
                continue
            if one.power is not ServerPower.OFF:
                self._attend(one.record)
            elif self._has_looked and (had is None or is_new or had.power is not ServerPower.OFF):
                self._wake(id_)
        for id_ in before.keys() - self._seen.keys():
            self._wake(id_)
        there = {one.server_id for one in self._seen.values()}
        self._explained = {id_: why for id_, why in self._explained.items() if id_ in there}
        self._has_looked = True

    def _wake(self, function_id: str) -> None:
        """Its attendant notifies of what changed, and where there is none that is done here."""
        attendant = self._attendants.get(function_id)
        if attendant is None or attendant.is_done:
            self._on_change(function_id)
        else:
            attendant.wake()

    def _attend(self, record: ServerRecord) -> None:
        attendant = self._attendants.get(record.id)
        if attendant is None or attendant.is_done:
            guarded = Guarded(link=self, limits=self._around.limits, clock=self._around.clock)
            self._attendants[record.id] = Attendant(guarded, record, self._on_change)

    async def _unattend(self, function_id: str) -> None:
        attendant = self._attendants.pop(function_id, None)
        if attendant is not None:
            await attendant.close()

    async def _listen(self) -> None:
        failures, problem = 0, ""
        while True:
            try:
                await self._look()
            except UmbelError as error:
                failures += 1
                if failures == 1:
                    self._notify_of_all()
                if error.message != problem:
                    log.warning("cloud not watched", node=self.there.name, reason=error.message)
                problem = error.message
                draw = backoff.draw(self.there.name, failures)
                await asyncio.sleep(backoff.wait_s(failures, draw, **_AGAIN))
                continue
            if failures:
                self._notify_of_all()
            failures, problem = 0, ""
            await asyncio.sleep(self._around.limits.look_every_s)

    def _notify_of_all(self) -> None:
        """The node was lost, or is there again: all of its functions are to be looked at."""
        for function_id in list(self._seen):
            self._on_change(function_id)


def _instance(seen: SeenServer) -> Instance:
    """What it uses is not known to a project: it counts with what was promised to it."""
    record, is_active = seen.record, seen.state is FunctionState.ACTIVE
    return Instance(
        id=record.id,
        owner=record.owner,
        description=record.description,
        node=record.node,
        state=seen.state,
        address=record.public_address or record.address,
        ports=record.ports if is_active else {},
        started_s=record.started_s,
        cpu_cores=record.cores if is_active else 0.0,
        rss_mb=record.memory_mb if is_active else 0.0,
        reason=seen.reason,
        is_suspended=seen.is_suspended,
    )
