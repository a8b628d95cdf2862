"""One WHEP viewer: a stream's packets out, its wishes (lost packets, key pictures) in.

In: batches of the stream, datagrams, time. Out: protected datagrams, either returned (media) or in
the transport's outbox (all else). Neighbours: transport.py below, io/webrtc_port.py above.
"""

import secrets
from dataclasses import dataclass
from typing import NamedTuple

from umbel.media.rtp import packet as rtp
from umbel.media.rtp import rtcp
from umbel.media.rtp.feedback import PictureRequest, ReceptionReport
from umbel.media.rtp.packet import MalformedPacket
from umbel.media.rtp.rtcp import (
    FullIntraRequest,
    Nack,
    PictureLoss,
    ReceiverReport,
    ReportBlock,
    Rtcp,
    SenderReport,
    SourceDescription,
)
from umbel.media.rtp.stream import LiveStream
from umbel.media.webrtc import batch as batches
from umbel.media.webrtc.answer import SourceAttributes
from umbel.media.webrtc.batch import Batch, Rewrite, Run
from umbel.media.webrtc.dtls import Identity
from umbel.media.webrtc.ice import Address
from umbel.media.webrtc.negotiate import Medium, Plan
from umbel.media.webrtc.outlet import Outlet
from umbel.media.webrtc.srtp import NumberedPacket
from umbel.media.webrtc.transport import Transport

_REPORT_EVERY_S = 1.0
_KNOWN_REPORTS = 8
_CNAME = "umbel"


class Sending(NamedTuple):
    """Protected datagrams for the viewer's address, cut into runs (batch.Wire)."""

    datagrams: list[bytes]
    runs: tuple[Run, ...]


_NOTHING = Sending([], ())


@dataclass
class Reception:
    """What the viewer tells of its side. Times in seconds, `fraction_lost` from 0 to 1."""

    fraction_lost: float = 0.0
    packets_lost: int = 0
    jitter_s: float = 0.0
    round_trip_s: float | None = None
    packets_missed: int = 0
    pictures_requested: int = 0


class Viewer:
    """One viewer of one stream, from its offer to its end."""

    def __init__(self, plan: Plan, stream: LiveStream, identity: Identity, now_s: float) -> None:
        self.transport = Transport(identity, plan.remote, now_s)
        self.reception = Reception()
        self._stream = stream
        self._video = self._outlet(plan.medium("video"), is_video=True)
        self._audio = self._outlet(plan.medium("audio"), is_video=False)
        self._outlets = [one for one in (self._video, self._audio) if one is not None]
        self._report_s = 0.0
        self._reported: dict[int, float] = {}
        self._started = False

    @property
    def sources(self) -> dict[str, SourceAttributes]:
        """What the answer says of what is sent."""
        by_kind = {"video": self._video, "audio": self._audio}
        return {
            kind: SourceAttributes(ssrc=one.track.ssrc, rtx_ssrc=one.rtx_ssrc, cname=_CNAME)
            for kind, one in by_kind.items()
            if one is not None
        }

    @property
    def counts(self) -> tuple[int, int]:
        """Packets and octets of payload sent, without retransmissions."""
        each = [one.counts for one in self._outlets] if self._started else []
        return sum(packets for packets, _ in each), sum(octets for _, octets in each)

    @property
    def resent(self) -> int:
        """Packets sent again because the viewer asked."""
        return sum(one.resent for one in self._outlets)

    @property
    def replays(self) -> int:
        """How often the cached pictures were sent again."""
        return sum(one.replays for one in self._outlets)

    @property
    def is_pacing(self) -> bool:
        """Whether `pace` has something to send."""
        return self._video is not None and self._video.is_pacing and self.transport.is_connected

    def receive_datagram(self, data: bytes, address: Address, now_s: float) -> None:
        """Take a datagram of the viewer."""
        plain = self.transport.receive_datagram(data, address, now_s)
        if plain is not None and rtp.is_rtcp(plain):
            self._feedback(plain, now_s)
        if self.transport.is_connected and not self._started:
            self._start(now_s)

    def handle_timer(self, now_s: float) -> None:
        """Do what is due: retransmissions of the handshake, time limits, sender reports."""
        self.transport.handle_timer(now_s)
        if self._started and now_s >= self._report_s:
            self._report(now_s)

    def next_deadline_s(self, now_s: float) -> float:
        """When `handle_timer` is wanted next, or `pace` while `is_pacing`."""
        if self.is_pacing:
            return now_s
        deadline_s = self.transport.next_deadline_s(now_s)
        return min(deadline_s, self._report_s) if self._started else deadline_s

    def datagrams_to_send(self) -> list[tuple[bytes, Address]]:
        """What is to be sent now, but for media."""
        return self.transport.datagrams_to_send()

    def media(self, batch: Batch, now_s: float) -> Sending:
        """A batch of the stream for this viewer."""
        if not self._started or not self.transport.is_connected:
            return _NOTHING
        if self._is_plain(batch):
            return self._shared(batch)
        parts: list[NumberedPacket] = []
        if self._video is not None:
            parts += self._video.parts(self._video.live(batch.video, now_s))
        if self._audio is not None:
            parts += self._audio.parts(self._audio.live(batch.audio, now_s))
        return self._protected(parts)

    def pace(self, now_s: float) -> Sending:
        """The part of a replay that may go now."""
        if self._video is None or not self.transport.is_connected:
            return _NOTHING
        return self._protected(self._video.parts(self._video.paced(now_s)))

    def close(self, reason: str) -> None:
        """End, and tell the viewer."""
        self.transport.close(reason)

    def _outlet(self, medium: Medium | None, *, is_video: bool) -> Outlet | None:
        if medium is None:
            return None
        track = self._stream.video if is_video else self._stream.audio
        return Outlet(track, medium, secrets.randbits(32))

    def _start(self, now_s: float) -> None:
        self._started = True
        for outlet in self._outlets:
            outlet.start(now_s)
        if self._video is not None and not self._video.track.gop.is_filled:
            self._stream.feedback(PictureRequest(), now_s)
        self._report(now_s)

    def _is_plain(self, batch: Batch) -> bool:
        video, audio = self._video, self._audio
        if video is not None and (not video.is_plain or video.is_stale(batch.oldest_video)):
            return False
        return audio is None or not audio.is_stale(batch.oldest_audio)

    def _shared(self, batch: Batch) -> Sending:
        """The batch with headers that other viewers have too."""
        video, audio = self._video, self._audio
        rewrite = Rewrite(
            video_type=video.payload_type if video is not None else -1,
            audio_type=audio.payload_type if audio is not None else -1,
            video_offset=video.offset & 0xFFFF if video is not None else 0,
            audio_offset=audio.offset & 0xFFFF if audio is not None else 0,
        )
        bases = (
            video.base if video is not None else 0,
            audio.base if audio is not None else 0,
        )
        if video is not None:
            video.passed(batch.video_end)
        wire = batch.wire(rewrite)
        return Sending(self.transport.protect(wire.parts, bases), wire.runs)

    def _protected(self, parts: list[NumberedPacket]) -> Sending:
        runs = batches.runs_of([len(part.body) for part in parts])
        return Sending(self.transport.protect(parts), runs)

    def _report(self, now_s: float) -> None:
        """Tell both clocks of each medium at one instant, so that the viewer can align them."""
        self._report_s = now_s + _REPORT_EVERY_S
        reports: list[Rtcp] = []
        for outlet in self._outlets:
            clock = self._stream.clock_at(outlet.track, now_s)
            if clock is not None:
                ntp, timestamp = clock
                self._remember(ntp, now_s)
                packets, octets = outlet.counts
                reports.append(
                    SenderReport(
                        ssrc=outlet.track.ssrc,
                        ntp=ntp,
                        timestamp=timestamp,
                        packets=packets,
                        octets=octets,
                    )
                )
        if reports:
            names = tuple((outlet.track.ssrc, _CNAME) for outlet in self._outlets)
            reports.append(SourceDescription(cnames=names))
            self.transport.send_rtcp(rtcp.build(reports))

    def _remember(self, ntp: int, now_s: float) -> None:
        self._reported[ntp >> 16 & 0xFFFFFFFF] = now_s
        if len(self._reported) > _KNOWN_REPORTS:
            del self._reported[next(iter(self._reported))]

    def _feedback(self, data: bytes, now_s: float) -> None:
        try:
            packets = rtcp.parse(data)
        except MalformedPacket:
            return
        for packet in packets:
            if isinstance(packet, ReceiverReport | SenderReport):
                for block in packet.blocks:
                    self._received(block, now_s)
            elif isinstance(packet, Nack):
                self._missed(packet, now_s)
            elif isinstance(packet, PictureLoss | FullIntraRequest):
                self._picture_requested(now_s)

    def _received(self, block: ReportBlock, now_s: float) -> None:
        outlet = self._by_ssrc(block.ssrc)
        if outlet is None:
            return
        sent_s = self._reported.get(block.last_sr)
        if sent_s is not None:
            round_trip_s = now_s - sent_s - block.delay_since_sr / 65536
            self.reception.round_trip_s = max(0.0, round_trip_s)
        if outlet is self._video or self._video is None:
            self.reception.fraction_lost = block.fraction_lost / 256
            self.reception.packets_lost = block.packets_lost
            self.reception.jitter_s = block.jitter / outlet.track.clock_hz
            source = outlet.track.source_ssrc or 0
            self._stream.feedback(ReceptionReport(source, block.fraction_lost / 256), now_s)

    def _missed(self, packet: Nack, now_s: float) -> None:
        outlet = self._by_ssrc(packet.media_ssrc)
        if outlet is not None and self._started:
            self.reception.packets_missed += len(packet.sequences)
            again = outlet.resend(packet.sequences, now_s)
            if outlet.rtx_type is not None:
                self.transport.send_rtx(again)
            else:
                self.transport.send_rtp(outlet.parts(again))

    def _picture_requested(self, now_s: float) -> None:
        self.reception.pictures_requested += 1
        if self._video is not None and not self._video.request_picture(now_s):
            self._stream.feedback(PictureRequest(), now_s)

    def _by_ssrc(self, ssrc: int) -> Outlet | None:
        return next((one for one in self._outlets if one.track.ssrc == ssrc), None)
