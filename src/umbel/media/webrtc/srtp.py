"""SRTP (RFC 3711, RFC 7714): keys in; plain packets in, protected ones out, and back.

libsrtp does all of it but one path: what a viewer is sent with AES-GCM, where the AEAD of the
cryptography package takes less than half the time, and one call is made for each packet of each
viewer. There the caller numbers the packets, so the upper bits need not be guessed.
"""

from collections.abc import Sequence
from typing import NamedTuple

import pylibsrtp
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from umbel.kit.errors import Unavailable
from umbel.media.rtp import packet as rtp
from umbel.media.rtp.packet import MalformedPacket
from umbel.media.rtp.srtp_keys import derived
from umbel.media.webrtc.dtls import GCM, Keys

# What pylibsrtp takes at most is 1500 bytes with the trailer of the longest kind.
LONGEST_PACKET = 1350
_KEY_LABEL, _SALT_LABEL = 0, 2
_NONCE_BYTES = 12


class ProtectFailed(Unavailable):
    """SRTP could not encrypt a packet."""

    code = "umbel.srtp_failed"


class NumberedPacket(NamedTuple):
    """A plain packet, cut where encryption begins. `counter` is the SSRC above 48 bits of index:
    the sequence number with the rollover counter before it. `medium` picks a base (see seal)."""

    header: bytes
    body: bytes
    counter: int
    medium: int


def part_of(packet: bytes, index: int) -> NumberedPacket:
    """A plain packet with a 12-byte header as a part, with base 0."""
    header = packet[: rtp.HEADER_BYTES]
    counter = int.from_bytes(header[8:12], "big") << 48 | index
    return NumberedPacket(header, packet[rtp.HEADER_BYTES :], counter, 0)


class Sealer:
    """AES-GCM in one direction (RFC 7714 section 8)."""

    def __init__(self, master: bytes, key_bytes: int) -> None:
        key, salt = master[:key_bytes], master[key_bytes:]
        # Bound once: this is called for every packet of every viewer.
        self._encrypt = AESGCM(derived(key, salt, _KEY_LABEL, key_bytes)).encrypt
        self._salt = int.from_bytes(derived(key, salt, _SALT_LABEL, _NONCE_BYTES), "big")

    def seal(self, parts: Sequence[NumberedPacket], bases: tuple[int, int]) -> list[bytes]:
        """Protect the parts; each counter is lowered by its medium's base."""
        encrypt, salt = self._encrypt, self._salt
        return [
            header
            + encrypt(
                ((counter - bases[medium]) ^ salt).to_bytes(_NONCE_BYTES, "big"), body, header
            )
            for header, body, counter, medium in parts
        ]


class Srtp:
    """Both directions of one connection.

    A retransmission without RFC 4588 is the same packet again, so that may be sent twice.
    """

    def __init__(self, keys: Keys) -> None:
        is_gcm = keys.profile is GCM
        profile = (
            pylibsrtp.Policy.SRTP_PROFILE_AEAD_AES_128_GCM
            if is_gcm
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
        self._sealer = Sealer(keys.sending, keys.profile.key_bytes) if is_gcm else None

    def protect(
        self, parts: Sequence[NumberedPacket], bases: tuple[int, int] = (0, 0)
    ) -> list[bytes]:
        """Protect numbered RTP packets of at most LONGEST_PACKET bytes. Raises ProtectFailed.

        An SSRC that is protected here must not be by `protect_plain`: they would not agree on
        its rollover counter.
        """
        if self._sealer is not None:
            return self._sealer.seal(parts, bases)
        return self.protect_plain([header + body for header, body, _, _ in parts])

    def protect_plain(self, packets: Sequence[bytes]) -> list[bytes]:
        """Protect RTP packets that have only their sequence numbers. Raises ProtectFailed."""
        protect = self._sending.protect
        try:
            return [protect(packet) for packet in packets]
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
