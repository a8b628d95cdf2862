"""What records a stream, as an element: SegmentRecorder over io/recording.py.

In: packets; pulls that public.py lets in. Out: segments, to callers with the token.
"""

import hmac
from dataclasses import replace

from umbel.kit.errors import Unauthenticated
from umbel.media import roles
from umbel.media.io.recording import Recording
from umbel.media.model import StreamState
from umbel.media.record import answer
from umbel.media.rtp.pads import SinkPad
from umbel.media.server.elements.base import ElementContext, MediaElement
from umbel.media.server.elements.context import ServerContext
from umbel.media.server.elements.fan import Guard
from umbel.media.server.elements.flow import Count
from umbel.media.server.elements.pipeline import stream_of


class RecordTokenWrong(Unauthenticated):
    """The token does not open this recorder."""

    code = "umbel.record_token_wrong"


class SegmentRecorder(MediaElement):
    """Keeps a stream's segments until they are pulled."""

    type = "SegmentRecorder"

    def __init__(
        self,
        context: ElementContext,
        server: ServerContext,
        record_token: str,
        held: bool = False,
        over: bool = False,
    ) -> None:
        super().__init__(context)
        self._server = server
        self._stream = stream_of(context.parent)
        self._recording = Recording(self._stream, context.clock)
        self._sent = Count()
        self.set_record_token(record_token)
        self.set_held(held)
        self.set_over(over)
        self.pad = SinkPad(Guard(self._recording, self.id))

    async def close(self) -> None:
        self._recording.end()

    def get_url(self) -> str:
        return self._server.url(f"/record/{self._stream}/segments")

    def get_dropped(self) -> int:
        return self._recording.dropped

    def set_record_token(self, record_token: str) -> None:
        roles.check_record_token(record_token)
        self._token = record_token.encode()

    def set_held(self, held: bool) -> None:
        self._recording.hold(is_held=held)

    def set_over(self, over: bool) -> None:
        if over:
            self._recording.end()

    def check_token(self, token: str) -> None:
        """Refuse who may not pull. Raises RecordTokenWrong."""
        if not hmac.compare_digest(token.encode(), self._token):
            raise RecordTokenWrong

    async def pull(self, after: int, boot: str) -> bytes:
        """The body of an answer, as Recording.pull."""
        body = answer.encode(await self._recording.pull(after, boot))
        self._sent = Count(packets=self._sent.packets + 1, bytes=self._sent.bytes + len(body))
        return body

    def tick(self, now_s: float) -> None:
        super().tick(now_s)
        self._recording.tick(now_s)

    def described(self, state: StreamState, now_s: float) -> StreamState:
        known = super().described(state, now_s)
        return replace(
            known,
            urls=(*known.urls, ("record", self.get_url())),
            unpulled=self._recording.unpulled,
            is_over=self._recording.is_over,
            is_held=self._recording.is_held,
        )

    def count_out(self) -> Count:
        return self._sent
