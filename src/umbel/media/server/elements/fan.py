"""Packets from one to many, and a guard around each: one element's failure stays its own.

In: batches. Out: the same batches to every attached sink, counted. A sink that raises is
logged once, and still gets the next batch.
"""

import structlog

from umbel.media.ports import OnFeedback, Packets, PacketSink
from umbel.media.rtp.feedback import Feedback

log = structlog.get_logger(__name__)


class Guard:
    """A PacketSink around another one that may fail."""

    def __init__(self, sink: PacketSink, name: str) -> None:
        self._sink = sink
        self._name = name
        self.failures = 0

    def packets(self, batch: Packets, now_s: float) -> None:
        try:
            self._sink.packets(batch, now_s)
        except Exception:
            if self.failures == 0:
                log.exception("element failed", element=self._name)
            self.failures += 1


class Fan:
    """A PacketSink and a PacketSource. `on_feedback` hears what the sinks report."""

    def __init__(self, on_feedback: OnFeedback = lambda *_: None) -> None:
        self._on_feedback = on_feedback
        self._sinks: tuple[PacketSink, ...] = ()
        self.packets_seen = 0
        self.bytes_seen = 0

    def attach(self, sink: PacketSink) -> None:
        self._sinks = (*(known for known in self._sinks if known is not sink), sink)

    def detach(self, sink: PacketSink) -> None:
        self._sinks = tuple(known for known in self._sinks if known is not sink)

    def feedback(self, feedback: Feedback, now_s: float) -> None:
        self._on_feedback(feedback, now_s)

    def packets(self, batch: Packets, now_s: float) -> None:
        self.packets_seen += len(batch)
        self.bytes_seen += sum(map(len, batch))
        for sink in self._sinks:
            sink.packets(batch, now_s)
