"""Media servers that may hang: their control channel is silent, what flows goes on."""

from umbel.kit.errors import Unavailable
from umbel.media.drivers.fake import FakeMedia
from umbel.media.model import Server, StreamSpec, StreamState


class Servers:
    """The media servers; those in `hung` do not answer."""

    def __init__(self, media: FakeMedia) -> None:
        self._media = media
        self.hung: set[str] = set()

    async def ensure(self, server: Server, spec: StreamSpec) -> StreamState:
        return await self._reach(server).ensure(server, spec)

    async def remove(self, server: Server, stream: str) -> None:
        await self._reach(server).remove(server, stream)

    async def observe(self, server: Server) -> dict[str, StreamState]:
        return await self._reach(server).observe(server)

    async def forget(self, function_id: str) -> None:
        """Other control planes keep their channels."""

    async def close(self) -> None: ...

    def _reach(self, server: Server) -> FakeMedia:
        if server.function_id in self.hung:
            raise Unavailable(f"{server} does not answer")
        return self._media
