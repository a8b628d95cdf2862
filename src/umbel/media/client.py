"""One control channel to one media server: requests and answers over a WebSocket.

In: operations. Out: their values, or one of the five kinds of error; events to a callback. The
texts are rpc/requester.py's. Neighbour: drivers/jsonrpc.py keeps a channel per function.
"""

import asyncio
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from umbel.kit import hosts, secret_tls
from umbel.kit.errors import UmbelError, Unavailable
from umbel.media.model import Server
from umbel.media.rpc import faults
from umbel.media.rpc.envelope import Response
from umbel.media.rpc.requester import Notification, Requester
from umbel.media.rpc.transaction import Operation

_MOST_BYTES = 4 * 1024 * 1024
_KEEPALIVE_S = 5.0


class ChannelLost(Unavailable):
    """The control channel to the media server is closed."""

    code = "umbel.media_channel_lost"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A transaction's values, up to the first error."""

    values: Sequence[object]
    error: UmbelError | None = None


class Channel:
    """An open channel. Made by `open`; of no use after `on_lost` was called."""

    def __init__(
        self,
        socket: ClientConnection,
        deadline_s: float,
        on_event: Callable[[Notification], None],
        on_lost: Callable[[], None],
    ) -> None:
        self._socket = socket
        self._deadline_s = deadline_s
        self._on_event = on_event
        self._on_lost = on_lost
        self._requester = Requester()
        self._waiting: dict[object, asyncio.Future[Response]] = {}
        self._reader = asyncio.create_task(self._read(), name="media-channel")

    @classmethod
    async def open(
        cls,
        server: Server,
        *,
        deadline_s: float,
        on_event: Callable[[Notification], None],
        on_lost: Callable[[], None],
    ) -> "Channel":
        """Connect. Raises ChannelLost when the server does not answer, is not the one that was
        started with the secret, or refuses it."""
        url, tls = _way(server)
        try:
            async with asyncio.timeout(deadline_s):
                socket = await connect(
                    url,
                    ssl=tls,
                    additional_headers={"Authorization": f"Bearer {server.secret}"},
                    proxy=None,
                    compression=None,
                    max_size=_MOST_BYTES,
                    ping_interval=_KEEPALIVE_S,
                    ping_timeout=_KEEPALIVE_S,
                    close_timeout=1.0,
                )
        except (OSError, TimeoutError, WebSocketException) as error:
            raise ChannelLost(f"{server} does not answer: {error}") from error
        return cls(socket, deadline_s, on_event, on_lost)

    @property
    def is_open(self) -> bool:
        """Whether answers can still come."""
        return not self._reader.done()

    async def request(self, method: str, params: Mapping[str, object]) -> dict[str, object]:
        """The result of one request. Raises Unavailable at the deadline, or what it failed with."""
        id_, text = self._requester.request(method, params)
        future: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
        self._waiting[id_] = future
        try:
            async with asyncio.timeout(self._deadline_s):
                await self._socket.send(text)
                response = await future
        except TimeoutError as error:
            raise Unavailable(f"no answer to {method} within {self._deadline_s} s") from error
        except WebSocketException as error:
            raise ChannelLost from error
        finally:
            self._waiting.pop(id_, None)
        if response.error is not None:
            raise response.error
        return response.result if isinstance(response.result, dict) else {}

    async def transaction(self, operations: Sequence[Operation]) -> Outcome:
        """Carry out operations in one round trip."""
        listed = [operation.to_json(index) for index, operation in enumerate(operations)]
        result = await self.request("transaction", {"operations": listed})
        return _outcome(result.get("value"), len(operations))

    async def close(self) -> None:
        """Close the channel, without calling `on_lost`."""
        self._on_lost = _nothing
        await self._socket.close()
        await asyncio.gather(self._reader, return_exceptions=True)

    async def _read(self) -> None:
        try:
            async for text in self._socket:
                self._take(text)
        except WebSocketException:
            pass  # the end of the channel, however it came
        finally:
            for future in self._waiting.values():
                if not future.done():
                    future.set_exception(ChannelLost())
            self._on_lost()

    def _take(self, text: str | bytes) -> None:
        message = self._requester.receive(text)
        if isinstance(message, Notification):
            self._on_event(message)
        elif message is not None:
            future = self._waiting.get(message.id)
            if future is not None and not future.done():
                future.set_result(message)


def _way(server: Server) -> tuple[str, ssl.SSLContext | None]:
    host = hosts.in_url(server.address)
    if not server.tls_port:
        return f"ws://{host}:{server.control_port}/kurento", None
    context = secret_tls.client_context(server.secret)
    return f"wss://{host}:{server.tls_port}/kurento", context


def _outcome(responses: object, wanted: int) -> Outcome:
    values: list[object] = []
    for response in responses if isinstance(responses, list) else []:
        if not isinstance(response, dict) or "error" in response:
            damaged = response.get("error") if isinstance(response, dict) else None
            return Outcome(values=values, error=faults.from_json(damaged))
        result = response.get("result")
        values.append(result.get("value") if isinstance(result, dict) else None)
    if len(values) != wanted:
        return Outcome(values=values, error=Unavailable("the transaction was cut short"))
    return Outcome(values=values)


def _nothing() -> None:
    """A closed channel has no listeners."""
