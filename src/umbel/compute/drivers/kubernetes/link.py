"""One node of a cluster, as the VIM uses it: its functions' pods, and what is done with them.

In: functions. Out: what is seen there, and `on_change` calls. A watch of the API server reports
changes; each minute, and after each break, all pods are read again, so that none is missed.
"""

import asyncio
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass

import structlog

from umbel.compute.clusters.model import ClusterNode, ClusterUnreachable
from umbel.compute.drivers.kubernetes import pods
from umbel.compute.drivers.kubernetes.client import ClusterClient
from umbel.compute.drivers.kubernetes.context import ClusterContext
from umbel.compute.drivers.kubernetes.observed import SeenPod
from umbel.compute.drivers.kubernetes.pods import PodOrder, pod_name
from umbel.compute.drivers.kubernetes.usage import Amounts, of_amounts
from umbel.compute.model import FunctionState, HostUsage
from umbel.kit import backoff
from umbel.kit.errors import UmbelError

log = structlog.get_logger(__name__)

_AGAIN = {"first_s": 0.5, "longest_s": 15.0}


@dataclass(frozen=True, kw_only=True)
class _Known:
    """What is known of a function's pod."""

    uid: str
    state: FunctionState = FunctionState.BOOTING
    is_silent: bool = False

    @staticmethod
    def of(seen: SeenPod) -> "_Known":
        return _Known(uid=seen.uid, state=seen.state, is_silent=seen.is_silent)


class ClusterLink:
    """To one node. All calls on one event loop. It raises ClusterUnreachable, ClusterDenied and
    ClusterFailed."""

    def __init__(
        self, there: ClusterNode, around: ClusterContext, on_change: Callable[[str], None]
    ) -> None:
        self.there = there
        self._around = around
        self._on_change = on_change
        labels = pods.labels(around.installation, there.name)
        self._client = ClusterClient(there, labels, around.limits.call_s, around.clock)
        self._known: dict[str, _Known] = {}
        """What was last heard of each function's pod."""
        self._ended: set[str] = set()
        """The pods, by uid, that we ended: what is heard of them is no news."""
        self._has_looked = False
        self._usage: Mapping[str, Amounts] = {}
        self._measure_at_s = 0.0
        self._choosing = asyncio.Lock()
        self._task = asyncio.create_task(self._listen(), name=f"listen:{there.name}")

    async def pods(self) -> dict[str, SeenPod]:
        """Every function's pod, by function."""
        found, _ = await self._client.pods()
        return found

    async def is_ready(self) -> bool:
        """Whether the cluster hears of the machine, and it may run pods."""
        status = (await self._client.machine()).status
        conditions = (status.conditions or []) if status is not None else []
        return any(one.type == "Ready" and one.status == "True" for one in conditions)

    async def usage(self) -> Mapping[str, Amounts]:
        """What pods use, by their names; empty where their cluster does not measure it."""
        now_s = self._around.clock.monotonic_s()
        if now_s >= self._measure_at_s:
            self._measure_at_s = now_s + self._around.limits.sample_every_s
            try:
                self._usage = await self._client.pods_usage()
            except UmbelError:  # no metrics API, or no right to ask it: docs/howto/kubernetes.md
                self._usage = {}
        return self._usage

    async def host_usage(self) -> HostUsage:
        """What the machine has, and uses."""
        has, used = await asyncio.gather(self._client.machine(), self._client.machine_usage())
        capacity = of_amounts(has.status.capacity if has.status is not None else None)
        return HostUsage(
            host=self.there.machine,
            cores=capacity.cores,
            memory_mb=capacity.memory_mb,
            cores_used=used.cores,
            memory_used_mb=used.memory_mb,
        )

    async def start(self, order: PodOrder, last: SeenPod | None) -> None:
        """Make the function's pod; an earlier one is removed. It gets the ports that the last one
        had, unless no machine took that one: then somebody else may have them."""
        function_id, limits = order.function.id, self._around.limits
        pods.image_of(order.function, order.there)
        await self.remove(function_id)
        texts = await asyncio.to_thread(self._file_texts)
        names = {str(path): f"file-{n}" for n, path in enumerate(self._around.files)}
        async with self._choosing:  # two that start together must not choose the same ports
            had = last.record.ports if last is not None and last.is_placed else {}
            avoided = last.record.ports.values() if last is not None else ()
            taken = {*avoided, *await self._taken()} - set(had.values())
            record = pods.made(order, had, taken)
            secret = pods.secret(order, record, self._around.installation, texts)
            pod = pods.pod(order, record, self._around.installation, names, limits)
            await self._client.create_secret(secret)
            try:
                uid = await self._client.create_pod(pod)
            except UmbelError:
                await self._client.delete_secret(pod_name(self._around.installation, function_id))
                raise
        self._known.setdefault(function_id, _Known(uid=uid))

    async def remove(self, function_id: str) -> None:
        """Have the function end, and leave nothing of it there."""
        name = pod_name(self._around.installation, function_id)
        seen = await self._client.pod(name)
        if seen is not None:
            self._ended.add(seen.uid)
            self._known.pop(function_id, None)
            # What never runs again needs no time, and its machine may be gone.
            await self._client.delete_pod(name, 0 if seen.is_over else None)
            await self._until_gone(name, seen)
        await self._client.delete_secret(name)

    async def close(self) -> None:
        """Let go of it. Functions go on."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._client.close()

    # -- inside -----------------------------------------------------------------------------

    def _file_texts(self) -> dict[str, str]:
        return {f"file-{n}": path.read_text() for n, path in enumerate(self._around.files)}

    async def _taken(self) -> set[int]:
        return {
            number for one in (await self.pods()).values() for number in one.record.ports.values()
        }

    async def _until_gone(self, name: str, ended: SeenPod) -> None:
        clock, limits = self._around.clock, self._around.limits
        deadline_s = clock.monotonic_s() + limits.stop_s
        while True:
            seen = await self._client.pod(name)
            if seen is None or seen.uid != ended.uid:
                return
            if clock.monotonic_s() > deadline_s:
                message = (
                    f"{self.there.machine} did not end {ended.record.id} within"
                    f" {limits.stop_s:g} s: its kubelet may be away"
                )
                raise ClusterUnreachable(message, node=self.there.name)
            await asyncio.sleep(limits.look_every_s)

    async def _listen(self) -> None:
        failures, problem = 0, ""
        while True:
            try:
                async with asyncio.timeout(self._around.limits.look_again_s):
                    before = set(self._known)
                    found, version = await self._client.pods()
                    self._compare(found, before)
                    if failures:
                        self._notify_of_all()
                    failures, problem = 0, ""
                    async for seen, is_gone in self._client.changes(version):
                        self._note(seen, is_gone)
            except TimeoutError:
                continue
            except UmbelError as error:
                failures += 1
                if failures == 1:
                    self._notify_of_all()
                if error.message != problem:
                    log.warning("cluster not watched", node=self.there.name, reason=error.message)
                problem = error.message
                draw = backoff.draw(self.there.name, failures)
                await asyncio.sleep(backoff.wait_s(failures, draw, **_AGAIN))

    def _notify_of_all(self) -> None:
        """The node was lost, or is there again: all of its functions are to be looked at."""
        for function_id in list(self._known):
            self._on_change(function_id)

    def _compare(self, found: Mapping[str, SeenPod], before: Set[str]) -> None:
        """Note all that is there now. What was known `before` it was asked for, and is not there,
        is gone."""
        for seen in found.values():
            self._note(seen, is_gone=False)
        self._has_looked = True
        for function_id in before - found.keys():
            if self._known.pop(function_id, None) is not None:
                self._on_change(function_id)
        self._ended &= {seen.uid for seen in found.values()}

    def _note(self, seen: SeenPod, is_gone: bool) -> None:
        function_id = seen.record.id
        if seen.uid in self._ended:
            if is_gone:
                self._ended.discard(seen.uid)
            return
        known = self._known.pop(function_id, None)
        if not is_gone:
            self._known[function_id] = _Known.of(seen)
        if known is None and not self._has_looked:
            return  # it was there before this control plane
        is_news = known != _Known.of(seen) and seen.state is not FunctionState.BOOTING
        if is_gone or is_news:
            self._on_change(function_id)
