"""The maker of a rendition as an element: Transcoder over workers/rendition.py."""

from dataclasses import replace

from umbel.media import roles
from umbel.media.model import PayloadType, StreamState, VideoCodec
from umbel.media.ports import Packets
from umbel.media.rtp import packet as rtp
from umbel.media.rtp.feedback import Feedback, PictureRequest
from umbel.media.rtp.pads import SinkPad
from umbel.media.server.elements.base import ElementContext, MediaElement
from umbel.media.server.elements.context import ServerContext
from umbel.media.server.elements.fan import Fan, Guard
from umbel.media.server.elements.flow import Count, Flow
from umbel.media.workers.rendition import Transcoding


class Transcoder(MediaElement):
    """Takes a stream and gives another one, with smaller pictures or in another codec."""

    type = "Transcoder"

    def __init__(
        self,
        context: ElementContext,
        server: ServerContext,
        height: int,
        codec: str = VideoCodec.H264.value,
    ) -> None:
        super().__init__(context)
        roles.check_height(height)
        self._into, self._out = Fan(), Fan(self._on_feedback)
        self._pictures, self._picture_flow = _PicturePackets(), Flow()
        self._out.attach(self._pictures)
        stream = context.parent.get_name() if context.parent else ""
        self._transcoding = Transcoding(
            stream, height, self._out, server.workers, VideoCodec(codec)
        )
        self._transcoding.on_begin = self.request_keyframe
        self._transcoding.on_missed = self.report
        self._into.attach(self._transcoding)
        self.pad = SinkPad(Guard(self._into, self.id))
        self.source = self._out

    async def close(self) -> None:
        await self._transcoding.close()

    def tick(self, now_s: float) -> None:
        super().tick(now_s)
        self._picture_flow.sample(Count(packets=self._pictures.seen), now_s)

    def described(self, state: StreamState, now_s: float) -> StreamState:
        """It flows once pictures come out: sound comes before the first key picture."""
        flows = state.flowing or self._picture_flow.is_flowing(now_s)
        return replace(super().described(state, now_s), flowing=flows)

    def get_codec(self) -> str:
        return self._transcoding.codec.value

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


class _PicturePackets:
    """A PacketSink that counts packets of pictures."""

    seen = 0

    def packets(self, batch: Packets, now_s: float) -> None:
        self.seen += sum(map(_is_of_picture, batch))


def _is_of_picture(packet: bytes) -> bool:
    return not rtp.is_rtcp(packet) and rtp.payload_type(packet) != PayloadType.OPUS


def _count(fan: Fan) -> Count:
    return Count(packets=fan.packets_seen, bytes=fan.bytes_seen)
