"""A make-believe H.264 and Opus source in the platform's packets, with exact clocks."""

from dataclasses import dataclass

from umbel.media.model import PayloadType
from umbel.media.rtp import rtcp
from umbel.media.rtp.packet import RtpPacket
from umbel.media.rtp.rtcp import SenderReport

SPS = bytes.fromhex("6742c01f") + bytes(8)
PPS = bytes.fromhex("68ce3c80")
IDR_START, IDR_REST = bytes((0x7C, 0x85)), bytes((0x7C, 0x05))
SLICE_START, SLICE_REST = bytes((0x7C, 0x81)), bytes((0x7C, 0x01))
TICKS = 3000
NTP_START = 3_900_000_000 << 32


def stap_a(*units: bytes) -> bytes:
    """An aggregation packet's payload."""
    return b"\x78" + b"".join(len(unit).to_bytes(2, "big") + unit for unit in units)


@dataclass
class Source:
    """30 pictures a second; every `gop`-th is a key picture. Clocks begin at NTP_START."""

    ssrc: int = 100
    audio_ssrc: int = 200
    sequence: int = 10
    timestamp: int = 5000
    audio_sequence: int = 20
    audio_timestamp: int = 9000
    gop: int = 30
    parts: int = 3
    frame: int = 0

    def picture(self) -> list[bytes]:
        """The packets of the next picture; each payload is unlike any other."""
        is_key = self.frame % self.gop == 0
        start, rest = (IDR_START, IDR_REST) if is_key else (SLICE_START, SLICE_REST)
        payloads = [stap_a(SPS, PPS)] if is_key else []
        for part in range(self.parts):
            kind = start if part == 0 else rest
            payloads.append(kind + b"%06d.%d" % (self.frame, part) + bytes(90))
        packets = []
        for at, payload in enumerate(payloads):
            packets.append(
                RtpPacket(
                    payload_type=PayloadType.H264,
                    marker=at == len(payloads) - 1,
                    sequence=self.sequence & 0xFFFF,
                    timestamp=(self.timestamp + self.frame * TICKS) & 0xFFFFFFFF,
                    ssrc=self.ssrc,
                    payload=payload,
                ).build()
            )
            self.sequence += 1
        self.frame += 1
        return packets

    def sound(self) -> list[bytes]:
        """One Opus packet of 20 ms."""
        packet = RtpPacket(
            payload_type=PayloadType.OPUS,
            marker=False,
            sequence=self.audio_sequence & 0xFFFF,
            timestamp=self.audio_timestamp & 0xFFFFFFFF,
            ssrc=self.audio_ssrc,
            payload=b"opus%06d" % self.audio_sequence,
        ).build()
        self.audio_sequence += 1
        self.audio_timestamp += 960
        return [packet]

    def report(self) -> list[bytes]:
        """A sender report for each medium: both clocks at the next picture."""
        ntp = NTP_START + (self.frame << 32) // 30
        video = SenderReport(
            ssrc=self.ssrc,
            ntp=ntp,
            timestamp=(self.timestamp + self.frame * TICKS) & 0xFFFFFFFF,
        )
        audio = SenderReport(
            ssrc=self.audio_ssrc, ntp=ntp, timestamp=self.audio_timestamp & 0xFFFFFFFF
        )
        return [rtcp.build([video]), rtcp.build([audio])]
