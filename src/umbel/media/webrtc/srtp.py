"""SRTP (RFC 3711, RFC 7714): keys in; plain packets in, protected ones out, and back."""

import pylibsrtp

from umbel.kit.errors import Unavailable
from umbel.media.rtp.packet import MalformedPacket
from umbel.media.webrtc.dtls import GCM, Keys

# What pylibsrtp takes at most is 1500 bytes with the trailer of the longest kind.
LONGEST_PACKET = 1350


class ProtectFailed(Unavailable):
    """A packet could not be protected."""

    code = "umbel.srtp_failed"


class Srtp:
    """Both directions of one connection.

    A retransmission without RFC 4588 is the same packet again, so that may be sent twice.
    """

    def __init__(self, keys: Keys) -> None:
        profile = (
            pylibsrtp.Policy.SRTP_PROFILE_AEAD_AES_128_GCM
            if keys.profile is GCM
            else pylibsrtp.Policy.SRTP_PROFILE_AES128_CM_SHA1_80
        )
        sending = pylibsrtp.Policy(
            key=keys.sending,
            ssrc_type=pylibsrtp.Policy.SSRC_ANY_OUTBOUND,
            srtp_profile=profile,
        )
        sending.allow_repeat_tx = True
        receiving = pylibsrtp.Policy(
            key=keys.receiving,
            ssrc_type=pylibsrtp.Policy.SSRC_ANY_INBOUND,
            srtp_profile=profile,
        )
        self._sending = pylibsrtp.Session(sending)
        self._receiving = pylibsrtp.Session(receiving)
        # Called for every packet of every viewer: bound once, they cost no look-up.
        self._protect = self._sending.protect
        self.overhead = 16 if keys.profile is GCM else 10

    def protect(self, packets: list[bytes]) -> list[bytes]:
        """Protect RTP packets of at most LONGEST_PACKET bytes. Raises ProtectFailed."""
        try:
            return [self._protect(packet) for packet in packets]
        except (pylibsrtp.Error, ValueError) as error:
            raise ProtectFailed(f"SRTP: {error}") from error

    def protect_rtcp(self, packet: bytes) -> bytes:
        """Protect a compound RTCP packet. Raises ProtectFailed."""
        try:
            protected: bytes = self._sending.protect_rtcp(packet)
        except (pylibsrtp.Error, ValueError) as error:
            raise ProtectFailed(f"SRTCP: {error}") from error
        return protected

    def unprotect(self, packet: bytes, *, is_rtcp: bool) -> bytes:
        """The plain packet. Raises MalformedPacket for forged, repeated or broken ones."""
        unprotect = self._receiving.unprotect_rtcp if is_rtcp else self._receiving.unprotect
        try:
            plain: bytes = unprotect(packet)
        except (pylibsrtp.Error, ValueError) as error:
            raise MalformedPacket(f"SRTP: {error}") from error
        return plain
