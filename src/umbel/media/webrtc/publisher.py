"""One WHIP publisher: its packets in, the platform's out to a sink, reports and requests back.

In: datagrams, time. Out: RTP with the platform's payload types and the publisher's sender reports
to the sink; receiver reports, requests for lost packets and for key pictures in the transport's
outbox. Neighbours: transport.py and inlet.py below, io/webrtc_port.py above.
"""

import secrets
from collections.abc import Sequence

from umbel.media.rtp import packet as rtp
from umbel.media.rtp import rtcp
from umbel.media.rtp.arrivals import Arrived, RtpCounter
from umbel.media.rtp.feedback import PICTURE_INTERVAL_S, Throttle
from umbel.media.rtp.packet import MalformedPacket, RtpPacket
from umbel.media.rtp.pads import Sink
from umbel.media.rtp.rtcp import (
    Goodbye,
    Nack,
    PictureLoss,
    ReceiverReport,
    Rtcp,
    SenderReport,
    SourceDescription,
)
from umbel.media.webrtc.dtls import Identity
from umbel.media.webrtc.ice import Address
from umbel.media.webrtc.inlet import Inlet
from umbel.media.webrtc.negotiate import Medium, Plan
from umbel.media.webrtc.transport import Transport

_REPORT_EVERY_S = 1.0
_PICTURE_EVERY_S = 2.0
_MOST_SOURCES = 8
_CNAME = "umbel"


class Publisher:
    """One publisher, from its offer to its end."""

    def __init__(self, plan: Plan, sink: Sink, identity: Identity, now_s: float) -> None:
        self.transport = Transport(identity, plan.remote, now_s)
        self.video = plan.medium("video")
        self.audio = plan.medium("audio")
        self.received = 0
        self.octets = 0
        self._sink = sink
        self._ssrc = secrets.randbits(32)
        media = [one for one in (self.video, self.audio) if one is not None]
        self._by_type = {one.codec.payload_type: one for one in media}
        self._by_rtx_type = {one.rtx_type: one for one in media if one.rtx_type is not None}
        self._counter = RtpCounter()
        self._inlets: dict[int, tuple[Medium, Inlet]] = {}
        self._dropped: dict[int, int] = {}
        self._report_s = 0.0
        self._picture_s = 0.0
        self._picture_requests = Throttle(PICTURE_INTERVAL_S)

    @property
    def is_flowing(self) -> bool:
        """Whether packets came."""
        return self.received > 0

    @property
    def arrived(self) -> Arrived:
        """How many packets came at the first attempt."""
        return self._counter.arrived

    @property
    def is_waiting(self) -> bool:
        """Whether `handle_timer` is wanted soon: packets are held for ones that are missing."""
        return any(inlet.is_waiting for _, inlet in self._inlets.values())

    @staticmethod
    def codec(medium: Medium | None) -> str:
        """A medium's codec, such as `H264` or `OPUS`; empty without the medium."""
        return "" if medium is None else medium.codec.name

    def receive_datagram(self, data: bytes, address: Address, now_s: float) -> None:
        """Take a datagram of the publisher."""
        plain = self.transport.receive_datagram(data, address, now_s)
        if plain is None:
            return
        try:
            out = self._reports(plain, now_s) if rtp.is_rtcp(plain) else self._media(plain, now_s)
        except MalformedPacket:
            return
        if out:
            self._sink.packets(out, now_s)

    def handle_timer(self, now_s: float) -> None:
        """Do what is due: time limits, reports, requests; hand on what waited long enough."""
        self.transport.handle_timer(now_s)
        if not self.transport.is_connected:
            return
        for medium, inlet in self._inlets.values():
            late = self._platform(medium, inlet.late(now_s))
            if late:
                self._sink.packets(late, now_s)
        self._ask(now_s)
        if now_s >= self._report_s:
            self._report(now_s)

    def next_deadline_s(self, now_s: float) -> float:
        """When `handle_timer` is wanted next: at once while packets wait for missing ones."""
        if self.is_waiting:
            return now_s
        deadline_s = self.transport.next_deadline_s(now_s)
        return min(deadline_s, self._report_s) if self.transport.is_connected else deadline_s

    def datagrams_to_send(self) -> list[tuple[bytes, Address]]:
        """What is to be sent now."""
        return self.transport.datagrams_to_send()

    def request_picture(self, now_s: float) -> None:
        """Ask for a key picture now, at most once a second."""
        if self._latest_inlet(self.video) is not None and self._picture_requests.admits(now_s):
            self._picture_s = now_s
            self._ask(now_s)

    def close(self, reason: str) -> None:
        """End, and tell the publisher."""
        self.transport.close(reason)

    def _media(self, data: bytes, now_s: float) -> list[bytes]:
        packet = RtpPacket.parse(data)
        medium = self._by_type.get(packet.payload_type)
        if medium is not None:
            self.received += 1
            self.octets += len(packet.payload)
            self._counter.count(data)
            inlet = self._inlet(packet.ssrc, medium)
            taken = inlet.admit(packet, now_s) if inlet is not None else []
            return self._platform(medium, taken)
        return self._repair(packet, now_s)

    def _repair(self, packet: RtpPacket, now_s: float) -> list[bytes]:
        """A retransmission (RFC 4588): the original's number, then its payload."""
        medium = self._by_rtx_type.get(packet.payload_type)
        inlet = self._latest_inlet(medium)
        if medium is None or inlet is None or len(packet.payload) <= 2:
            return []
        original = RtpPacket(
            payload_type=medium.codec.payload_type,
            marker=packet.marker,
            sequence=int.from_bytes(packet.payload[:2], "big"),
            timestamp=packet.timestamp,
            ssrc=inlet.ssrc,
            payload=packet.payload[2:],
        )
        return self._platform(medium, inlet.admit(original, now_s, is_repair=True))

    def _inlet(self, ssrc: int, medium: Medium) -> Inlet | None:
        known = self._inlets.get(ssrc)
        if known is not None:
            return known[1] if known[0] is medium else None
        if len(self._inlets) >= _MOST_SOURCES:
            oldest = next(iter(self._inlets))
            del self._inlets[oldest]
            self._dropped.pop(oldest, None)
        inlet = Inlet(ssrc, medium.codec.clock_hz)
        self._inlets[ssrc] = (medium, inlet)
        return inlet

    def _latest_inlet(self, medium: Medium | None) -> Inlet | None:
        matching = [inlet for known, inlet in self._inlets.values() if known is medium]
        return matching[-1] if matching else None

    def _platform(self, medium: Medium, packets: Sequence[RtpPacket]) -> list[bytes]:
        """The packets as the platform has them; empty ones (probes) leave no gap behind."""
        out = []
        for packet in packets:
            if not packet.payload:
                self._dropped[packet.ssrc] = self._dropped.get(packet.ssrc, 0) + 1
                continue
            second = (0x80 if packet.marker else 0) | medium.platform_type
            sequence = packet.sequence - self._dropped.get(packet.ssrc, 0)
            head = rtp.build_header(second, sequence, packet.timestamp, packet.ssrc)
            out.append(head + packet.payload)
        return out

    def _reports(self, data: bytes, now_s: float) -> list[bytes]:
        """The publisher's clocks go on to the sink, without what it says about us."""
        out = []
        for packet in rtcp.parse(data):
            if isinstance(packet, SenderReport) and packet.ssrc in self._inlets:
                self._inlets[packet.ssrc][1].reported(packet, now_s)
                out.append(rtcp.build([_without_blocks(packet)]))
            elif isinstance(packet, Goodbye):
                for ssrc in packet.ssrcs:
                    self._inlets.pop(ssrc, None)
        return out

    def _ask(self, now_s: float) -> None:
        requests: list[Rtcp] = []
        for medium, inlet in self._inlets.values():
            wanted = inlet.wanted(now_s)
            if wanted and "nack" in medium.codec.feedback:
                nack = Nack(sender_ssrc=self._ssrc, media_ssrc=inlet.ssrc, sequences=wanted)
                requests.append(nack)
        source = self._latest_inlet(self.video)
        if source is not None and now_s >= self._picture_s:
            self._picture_s = now_s + _PICTURE_EVERY_S
            requests.append(PictureLoss(sender_ssrc=self._ssrc, media_ssrc=source.ssrc))
        if requests:
            empty = ReceiverReport(ssrc=self._ssrc)
            self.transport.send_rtcp(rtcp.build([empty, *requests]))

    def _report(self, now_s: float) -> None:
        self._report_s = now_s + _REPORT_EVERY_S
        blocks = tuple(inlet.block(now_s) for _, inlet in self._inlets.values())
        report = ReceiverReport(ssrc=self._ssrc, blocks=blocks)
        name = SourceDescription(cnames=((self._ssrc, _CNAME),))
        self.transport.send_rtcp(rtcp.build([report, name]))


def _without_blocks(report: SenderReport) -> SenderReport:
    return SenderReport(
        ssrc=report.ssrc,
        ntp=report.ntp,
        timestamp=report.timestamp,
        packets=report.packets,
        octets=report.octets,
    )
