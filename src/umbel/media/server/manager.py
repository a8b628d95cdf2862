"""The server itself as an object: what it is, what it uses, and every stream it has.

`getStreams` answers with everything the control plane wants to know in one round trip.
"""

import asyncio
import os
import resource
import time
from collections.abc import Callable
from pathlib import Path

import umbel
from umbel.media import roles
from umbel.media.api import MODULES, values
from umbel.media.api.values import StreamInfo
from umbel.media.server.elements.base import ElementContext, Emit, Json, MediaObject
from umbel.media.server.elements.context import ServerContext
from umbel.media.server.elements.pipeline import MediaPipeline
from umbel.media.server.registry import Registry

_PAGE_KB = resource.getpagesize() // 1024
_LONGEST_INTERVAL_MS = 10_000


class ServerManager(MediaObject):
    """There is one; its id is known to every client."""

    type = "ServerManager"

    def __init__(
        self,
        server: ServerContext,
        registry: Registry,
        sessions: Callable[[], list[str]],
        emit: Emit,
    ) -> None:
        context = ElementContext(
            id=roles.MANAGER, parent=None, session="", clock=server.clock, emit=emit
        )
        super().__init__(context)
        self._server = server
        self._registry = registry
        self._sessions = sessions

    def get_streams(self, stream: str = "") -> list[Json]:
        pipelines = self._registry.streams(stream)
        now_s = self.clock.monotonic_s()
        return [values.info_to_json(info(pipeline, now_s)) for pipeline in pipelines]

    def get_cpu_count(self) -> int:
        return os.cpu_count() or 1

    async def get_used_cpu(self, interval: int = 1000) -> float:
        wait_s = min(max(interval, 1), _LONGEST_INTERVAL_MS) / 1000
        used_s, since_s = time.process_time(), self.clock.monotonic_s()
        await asyncio.sleep(wait_s)
        passed_s = max(self.clock.monotonic_s() - since_s, 0.001)
        return round(100 * (time.process_time() - used_s) / passed_s, 2)

    def get_used_memory(self) -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE_KB

    def get_info(self) -> Json:
        modules = [
            {"name": name, "version": umbel.__version__, "factories": list(made)}
            for name, made in MODULES.items()
        ]
        return {
            "__module__": "kurento",
            "__type__": "ServerInfo",
            "version": umbel.__version__,
            "modules": modules,
            "type": "KMS",
            "capabilities": ["transactions"],
        }

    def get_metadata(self) -> str:
        return self._server.function_id

    def get_pipelines(self) -> list[str]:
        return [pipeline.id for pipeline in self._registry.pipelines()]

    def get_children(self) -> list[str]:
        return self.get_pipelines()

    def get_sessions(self) -> list[str]:
        return self._sessions()


def info(pipeline: MediaPipeline, now_s: float) -> StreamInfo:
    """What a pipeline does with its stream."""
    elements = pipeline.elements()
    for element in elements:
        element.tick(now_s)
    parts = {element.type: element.id for element in elements}
    return StreamInfo(state=pipeline.state(now_s), pipeline=pipeline.id, parts=parts)
