"""What media's parts promise each other.

`MediaPlane`, `Thumbnails` and `Captions` are how the control plane drives media servers (drivers:
fake, jsonrpc); `Recorders` is how it gets what they record (drivers: fake_recorders,
recorder_client); `ReplayCaches` is how edges get pieces of recordings (drivers: fake_replays,
replay_client).
`PacketSink` and `PacketSource` are how the elements inside a server meet: packets go down,
feedback goes up. `rtp.pads.SinkPad` joins them: one source for each medium of a sink.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

from umbel.media.model import (
    CaptionTrack,
    CueBatch,
    Pulled,
    Server,
    StreamSpec,
    StreamState,
    Thumbnail,
    WantedCues,
)
from umbel.media.replay.messages import Orders, Report
from umbel.media.replay.pieces import Piece, Span
from umbel.media.rtp.feedback import Feedback

Packets = Sequence[bytes]
OnFeedback = Callable[[Feedback, float], None]


class PacketSink(Protocol):
    """Takes a stream's packets: RTP and RTCP as they came, in order, never fragmented."""

    def packets(self, batch: Packets, now_s: float) -> None:
        """Take a batch. `now_s` is steady time. Must not block and must not keep the list."""


class PacketSource(Protocol):
    """Gives a stream's packets to any number of sinks, and takes their feedback."""

    def attach(self, sink: PacketSink) -> None:
        """Give packets to the sink too. Idempotent."""

    def detach(self, sink: PacketSink) -> None:
        """No more packets to the sink. An unknown sink is not an error."""

    def feedback(self, feedback: Feedback, now_s: float) -> None:
        """Take what a sink reports, and pass it toward the encoder where that is possible.

        Throttled: a sink may repeat a request as often as it needs to. Must not block.
        """


class MediaPlane(Protocol):
    """Drives media servers. Every call is idempotent."""

    async def ensure(self, server: Server, spec: StreamSpec) -> StreamState:
        """Make the server do `spec`, and tell how it does it. Raises Unavailable, Invalid."""

    async def remove(self, server: Server, stream: str) -> None:
        """Make the server drop the stream. An unknown one is not an error."""

    async def observe(self, server: Server) -> dict[str, StreamState]:
        """Every stream the server has. Raises Unavailable."""

    def watch(self, on_change: Callable[[str, str], None]) -> None:
        """Call `on_change(function_id, stream)` when an ingest started, stopped or was refused,
        and `on_change(function_id, "")` when a server's control channel was lost or came back."""

    async def forget(self, function_id: str) -> None:
        """The function is gone: close the channel to it."""

    async def close(self) -> None:
        """Close every channel. Media goes on."""


class Thumbnails(Protocol):
    """Small pictures of streams."""

    async def thumbnail(self, server: Server, stream: str) -> Thumbnail | None:
        """The newest picture of what comes in there; None while there is none. Has the next one
        made. Raises Unavailable."""


class Captions(Protocol):
    """What is said in streams."""

    async def read_cues(self, server: Server, stream: str, wanted: WantedCues) -> CueBatch | None:
        """What was recognised of what comes in there, at most 64 cues; None while nothing comes
        in, and where the server has no engine. Has recognition go on for half a minute. Raises
        Unavailable."""

    async def put_captions(self, server: Server, stream: str, track: CaptionTrack) -> None:
        """Give the server what was said lately, for players of HLS. Nothing where it does not
        serve the stream. Raises Unavailable."""


class MediaDriver(MediaPlane, Thumbnails, Captions, Protocol):
    """What drives media servers."""


class Recorders(Protocol):
    """What recorders have recorded."""

    async def pull(self, url: str, token: str, after: int, boot: str) -> Pulled:
        """The segments after number `after` (-1: all) of the recorder's life `boot` (empty: not
        known yet), which acknowledges those up to it. Waits up to 10 s for one. `url` is the
        `record` one of its StreamState. Raises Unavailable."""

    async def close(self) -> None:
        """Close every connection."""


class ReplayCaches(Protocol):
    """Recordings' pieces at edges. Every call is idempotent and raises Unavailable."""

    async def sync(self, server: Server, orders: Orders) -> Report:
        """Tell the edge, and hear what it lacks: waits up to 5 s for something."""

    async def put(self, server: Server, piece: Piece, span: Span, body: bytes) -> None:
        """Give it a piece, recorded in that time."""

    async def refuse(self, server: Server, piece: Piece, *, is_unknown: bool) -> None:
        """A piece that it lacks does not exist, or cannot be given now."""

    async def forget(self, function_id: str) -> None:
        """The function is gone: close connections to it."""

    async def close(self) -> None:
        """Close every connection."""
