"""The maker of a rendition as an element: Transcoder over workers/rendition.py."""

from dataclasses import replace

from umbel.media import roles
from umbel.media.model import StreamState
from umbel.media.rtp.feedback import Feedback, PictureRequest
from umbel.media.rtp.pads import SinkPad
from umbel.media.server.elements.base import ElementContext, MediaElement
from umbel.media.server.elements.context import ServerContext
from umbel.media.server.elements.fan import Fan, Guard
from umbel.media.server.elements.flow import Count
from umbel.media.workers.rendition import Transcoding


class Transcoder(MediaElement):
    """Takes a stream and gives another one, with smaller pictures."""

    type = "Transcoder"

    def __init__(self, context: ElementContext, server: ServerContext, height: int) -> None:
        super().__init__(context)
        roles.check_height(height)
        self._into, self._out = Fan(), Fan(self._on_feedback)
        self._transcoding = Transcoding(
            context.parent.get_name() if context.parent else "", height, self._out, server.workers
        )
        self._transcoding.on_begin = self.request_keyframe
        self._into.attach(self._transcoding)
        self.pad = SinkPad(Guard(self._into, self.id))
        self.source = self._out

    async def close(self) -> None:
        await self._transcoding.close()

    def described(self, state: StreamState, now_s: float) -> StreamState:
        flows = state.flowing or self.flow_out.is_flowing(now_s)
        return replace(super().described(state, now_s), flowing=flows)

    def get_height(self) -> int:
        return self._transcoding.height

    def set_height(self, height: int) -> None:
        roles.check_height(height)
        self._transcoding.set_height(height)

    def is_media_transcoding(self, media_type: str, bin_name: str | None = None) -> bool:
        return media_type == "VIDEO"

    def _on_feedback(self, feedback: Feedback, now_s: float) -> None:
        """The rendition's receivers are served by its encoder: the source is not asked."""
        if isinstance(feedback, PictureRequest):
            self._transcoding.request_picture(now_s)

    def count_in(self) -> Count:
        return _count(self._into)

    def count_out(self) -> Count:
        return _count(self._out)


def _count(fan: Fan) -> Count:
    return Count(packets=fan.packets_seen, bytes=fan.bytes_seen)
