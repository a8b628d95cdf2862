"""The other end of a WebRTC endpoint, in memory: a full ICE agent as far as a lite one sees it.

It writes offers, sends checks, does its half of DTLS, counts what comes, and asks for more.
"""

import secrets
from dataclasses import dataclass, field

from aioice import stun

from umbel.media.rtp import packet as rtp
from umbel.media.rtp import rtcp
from umbel.media.rtp.packet import RtpPacket
from umbel.media.rtp.rtcp import Rtcp
from umbel.media.webrtc import ice, sdp
from umbel.media.webrtc.dtls import Dtls, Identity
from umbel.media.webrtc.ice import Credentials
from umbel.media.webrtc.srtp import Srtp

H264_TYPE, RTX_TYPE, VP8_TYPE, OPUS_TYPE = 102, 103, 104, 109
ADDRESS = ("127.0.9.1", 5004)
SSRC = 7

VIDEO_LINES = (
    f"a=rtpmap:{H264_TYPE} H264/90000",
    f"a=fmtp:{H264_TYPE} level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f",
    f"a=rtcp-fb:{H264_TYPE} nack",
    f"a=rtcp-fb:{H264_TYPE} nack pli",
    f"a=rtcp-fb:{H264_TYPE} ccm fir",
    f"a=rtpmap:{RTX_TYPE} rtx/90000",
    f"a=fmtp:{RTX_TYPE} apt={H264_TYPE}",
)
AUDIO_LINES = (
    f"a=rtpmap:{OPUS_TYPE} opus/48000/2",
    f"a=fmtp:{OPUS_TYPE} minptime=10;useinbandfec=1",
)
VP8_LINES = (f"a=rtpmap:{VP8_TYPE} VP8/90000", f"a=rtcp-fb:{VP8_TYPE} nack pli")


def without_rtx() -> tuple[str, ...]:
    """Video lines of a client that cannot do RFC 4588."""
    return tuple(line for line in VIDEO_LINES if f":{RTX_TYPE} " not in line)


@dataclass
class Client:
    """One client. Datagrams it wants to send gather in `outbox`."""

    identity: Identity
    setup: str = "actpass"
    direction: str = "recvonly"
    video: tuple[str, ...] = VIDEO_LINES
    audio: tuple[str, ...] = AUDIO_LINES
    outbox: list[bytes] = field(default_factory=list)
    packets: list[RtpPacket] = field(default_factory=list)
    reports: list[Rtcp] = field(default_factory=list)
    answered: int = 0
    started: bool = False
    refused: list[int] = field(default_factory=list)
    credentials: Credentials = field(default_factory=Credentials.create)
    remote: sdp.Section | None = None
    dtls: Dtls | None = None
    srtp: Srtp | None = None

    def offer(self) -> str:
        """The offer's text."""
        sections = {"video": self.video, "audio": self.audio}
        kinds = {kind: lines for kind, lines in sections.items() if lines}
        lines = [
            *("v=0", f"o=- {secrets.randbits(62)} 1 IN IP4 127.0.0.1", "s=-", "t=0 0"),
            "a=group:BUNDLE " + " ".join(kinds),
        ]
        for kind, more in kinds.items():
            types = [line.split(":")[1].split(" ")[0] for line in more if "rtpmap" in line]
            lines += [
                f"m={kind} 9 UDP/TLS/RTP/SAVPF {' '.join(types)}",
                *("c=IN IP4 0.0.0.0", f"a=mid:{kind}", f"a={self.direction}", "a=rtcp-mux"),
                f"a=ice-ufrag:{self.credentials.ufrag}",
                f"a=ice-pwd:{self.credentials.password}",
                f"a=fingerprint:{self.identity.fingerprint}",
                f"a=setup:{self.setup}",
                *more,
            ]
        return "\r\n".join(lines) + "\r\n"

    def accept(self, answer: str) -> sdp.Offer:
        """Take the server's description, an answer or an offer: they read alike."""
        parsed = sdp.parse_offer(answer)
        self.remote = next(section for section in parsed.sections if section.port)
        is_client = self.remote.setup != "active"
        self.dtls = Dtls(self.identity, self.remote.fingerprints, is_client=is_client)
        return parsed

    def check(self, *, chosen: bool = True, password: str | None = None) -> None:
        """Send a connectivity check."""
        assert self.remote is not None
        message = stun.Message(
            message_method=stun.Method.BINDING,
            message_class=stun.Class.REQUEST,
            attributes={
                "USERNAME": f"{self.remote.ufrag}:{self.credentials.ufrag}",
                "PRIORITY": 1,
                "ICE-CONTROLLING": 1,
            },
        )
        if chosen:
            message.attributes["USE-CANDIDATE"] = None
        message.add_message_integrity((password or self.remote.password).encode())
        self.outbox.append(bytes(message))

    def receive(self, data: bytes) -> None:
        """Take a datagram of the server."""
        assert self.dtls is not None
        if data[0] < 4:
            message = stun.parse_message(data)
            if message.message_class is stun.Class.REQUEST:
                self._checked(message)
            else:
                self._answered(message)
        elif data[0] < 64:
            self.outbox += self.dtls.receive(data)
            if self.dtls.keys is not None and self.srtp is None:
                self.srtp = Srtp(self.dtls.keys)
        elif self.srtp is not None:
            is_rtcp = rtp.is_rtcp(data)
            plain = self.srtp.unprotect(data, is_rtcp=is_rtcp)
            if is_rtcp:
                self.reports += rtcp.parse(plain)
            else:
                self.packets.append(RtpPacket.parse(plain))

    def send_rtcp(self, *packets: Rtcp) -> None:
        """Send feedback."""
        assert self.srtp is not None
        self.outbox.append(self.srtp.protect_rtcp(rtcp.build(packets)))

    def send_rtp(self, *packets: RtpPacket) -> None:
        """Send media."""
        assert self.srtp is not None
        self.outbox += self.srtp.protect_plain([packet.build() for packet in packets])

    def take_outbox(self) -> list[bytes]:
        """What is to be sent now."""
        out, self.outbox = self.outbox, []
        return out

    def _checked(self, message: stun.Message) -> None:
        """A full agent checks too; answer it, then begin."""
        assert self.remote is not None
        check = ice.answer(message, ADDRESS, self.credentials, self.remote.ufrag)
        if check.answer is not None:
            self.outbox.append(check.answer)
        if check.valid and self.dtls is not None and not self.started:
            self.started = True
            self.outbox += self.dtls.start()

    def _answered(self, message: stun.Message) -> None:
        if message.message_class is stun.Class.ERROR:
            assert message.error_code is not None
            self.refused.append(message.error_code)
            return
        self.answered += 1
        if self.dtls is not None and not self.started:
            self.started = True
            self.outbox += self.dtls.start()
