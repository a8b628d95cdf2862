"""What viewers and publishers have in common: one client's ICE, DTLS and SRTP.

In: datagrams with addresses, and time. Out: datagrams in `outbox`, plain RTP and RTCP packets,
and `state`, which ends in CLOSED with a `reason`. Neighbours: viewer.py, publisher.py above.
"""

from collections.abc import Sequence
from enum import Enum

from umbel.kit.states import Table
from umbel.media.rtp import packet as rtp
from umbel.media.rtp.packet import MalformedPacket
from umbel.media.webrtc import dtls, ice
from umbel.media.webrtc.dtls import Dtls, HandshakeFailed, Identity
from umbel.media.webrtc.ice import Address, Credentials
from umbel.media.webrtc.negotiate import Remote
from umbel.media.webrtc.srtp import NumberedPacket, ProtectFailed, Srtp

CONSENT_S = 30.0
HANDSHAKE_S = 10.0
_MOST_ADDRESSES = 16
_RETRANSMIT_S = 0.1


class TransportState(Enum):
    """How far a client has come."""

    NEW = "new"
    CHECKED = "checked"
    CONNECTED = "connected"
    CLOSED = "closed"


class TransportEvent(Enum):
    """What moves a client on."""

    CHECK = "check"
    KEYS = "keys"
    END = "end"


TRANSITIONS: Table[TransportState, TransportEvent] = Table(
    {
        (TransportState.NEW, TransportEvent.CHECK): TransportState.CHECKED,
        (TransportState.CHECKED, TransportEvent.CHECK): TransportState.CHECKED,
        (TransportState.CONNECTED, TransportEvent.CHECK): TransportState.CONNECTED,
        (TransportState.CHECKED, TransportEvent.KEYS): TransportState.CONNECTED,
        (TransportState.NEW, TransportEvent.END): TransportState.CLOSED,
        (TransportState.CHECKED, TransportEvent.END): TransportState.CLOSED,
        (TransportState.CONNECTED, TransportEvent.END): TransportState.CLOSED,
    }
)


class Transport:
    """One client. `address` is where its media goes, None before its first check."""

    def __init__(self, identity: Identity, remote: Remote, now_s: float) -> None:
        self.state = TransportState.NEW
        self.reason = ""
        self.address: Address | None = None
        self.addresses: set[Address] = set()
        self.outbox: list[tuple[bytes, Address]] = []
        self.credentials = Credentials.create()
        self.srtp: Srtp | None = None
        self.profile = ""
        self._remote_ufrag = remote.ufrag
        self._is_chosen = False
        # The client is the one to begin (RFC 9725 section 4.2), unless it will not.
        self._dtls = Dtls(identity, remote.fingerprints, is_client=remote.setup == "passive")
        self._consent_until_s = now_s + CONSENT_S
        self._handshake_until_s = now_s + HANDSHAKE_S + CONSENT_S

    @property
    def setup(self) -> str:
        """This end's role, as descriptions call it."""
        return "active" if self._dtls.is_client else "passive"

    @property
    def is_connected(self) -> bool:
        """Whether packets can flow."""
        return self.state is TransportState.CONNECTED

    def receive_datagram(self, data: bytes, address: Address, now_s: float) -> bytes | None:
        """Take a datagram; the plain RTP or RTCP packet that was in it, if one was."""
        if self.state is TransportState.CLOSED:
            return None
        try:
            if ice.is_stun(data):
                self._check(data, address, now_s)
            elif address not in self.addresses:
                return None
            elif dtls.is_dtls(data):
                self._handshake(data)
            elif self.srtp is not None and data and 128 <= data[0] <= 191:
                return self.srtp.unprotect(data, is_rtcp=rtp.is_rtcp(data))
        except MalformedPacket:
            return None
        except HandshakeFailed as error:
            self.close(error.message)
        return None

    def handle_timer(self, now_s: float) -> None:
        """Notice what did not come in time."""
        if self.state is TransportState.CLOSED:
            return
        if now_s >= self._consent_until_s:
            self.close("no check came for 30 s")
        elif not self.is_connected and now_s >= self._handshake_until_s:
            self.close("the DTLS handshake took longer than 10 s")
        else:
            try:
                self._send(self._dtls.expired())
            except HandshakeFailed as error:
                self.close(error.message)

    def restart(self, remote_ufrag: str) -> None:
        """Restart ICE with fresh credentials; DTLS and SRTP go on (RFC 8445 section 9)."""
        self.credentials = Credentials.create()
        self._remote_ufrag = remote_ufrag
        self._is_chosen = False

    def is_current(self, remote_ufrag: str) -> bool:
        """Whether the client's fragment is the one of its latest description."""
        return remote_ufrag == self._remote_ufrag

    def send_rtcp(self, packet: bytes) -> None:
        """Protect and queue a compound packet; nothing before the keys are known."""
        if self.srtp is None:
            return
        try:
            self._send([self.srtp.protect_rtcp(packet)])
        except ProtectFailed as error:
            self.close(error.message)

    def send_rtp(self, parts: Sequence[NumberedPacket]) -> None:
        """Protect and queue numbered packets."""
        self._send(self.protect(parts))

    def send_rtx(self, packets: Sequence[bytes]) -> None:
        """Protect and queue retransmissions (RFC 4588), which have an SSRC of their own."""
        if self.srtp is None:
            return
        try:
            self._send(self.srtp.protect_plain(packets))
        except ProtectFailed as error:
            self.close(error.message)

    def protect(
        self, parts: Sequence[NumberedPacket], bases: tuple[int, int] = (0, 0)
    ) -> list[bytes]:
        """Protect numbered packets; none before the keys are known. Fails by closing."""
        if self.srtp is None:
            return []
        try:
            return self.srtp.protect(parts, bases)
        except ProtectFailed as error:
            self.close(error.message)
            return []

    def next_deadline_s(self, now_s: float) -> float:
        """When `handle_timer` is wanted next; often while the handshake may need retransmission."""
        if self.state is TransportState.CLOSED:
            return float("inf")
        return self._consent_until_s if self.is_connected else now_s + _RETRANSMIT_S

    def datagrams_to_send(self) -> list[tuple[bytes, Address]]:
        """What is to be sent now."""
        out, self.outbox = self.outbox, []
        return out

    def close(self, reason: str) -> None:
        """End, and notify the client if possible. Idempotent."""
        if self.state is TransportState.CLOSED:
            return
        self.state = TRANSITIONS.next(self.state, TransportEvent.END)
        self.reason = reason
        self._send(self._dtls.close())
        self.srtp = None

    def _send(self, datagrams: list[bytes]) -> None:
        if self.address is not None:
            self.outbox.extend((data, self.address) for data in datagrams)

    def _check(self, data: bytes, address: Address, now_s: float) -> None:
        message = ice.parse(data)
        check = ice.answer(message, address, self.credentials, self._remote_ufrag)
        if check.answer is not None:
            self.outbox.append((check.answer, address))
        if not check.valid:
            return
        is_first = self.state is TransportState.NEW
        self.state = TRANSITIONS.next(self.state, TransportEvent.CHECK)
        self._consent_until_s = now_s + CONSENT_S
        self._learn(address, chosen=check.chosen)
        if is_first:
            self._handshake_until_s = now_s + HANDSHAKE_S
            self._send(self._dtls.start())

    def _learn(self, address: Address, *, chosen: bool) -> None:
        if len(self.addresses) >= _MOST_ADDRESSES and address not in self.addresses:
            self.addresses = {self.address} if self.address is not None else set()
        self.addresses.add(address)
        # Until the client chooses, media goes where its latest proven check came from.
        if chosen or not self._is_chosen:
            self.address = address
            self._is_chosen = self._is_chosen or chosen

    def _handshake(self, data: bytes) -> None:
        self._send(self._dtls.receive(data))
        if self._dtls.closed:
            self.close("the client left")
        elif self.srtp is None and self._dtls.keys is not None:
            self.srtp = Srtp(self._dtls.keys)
            self.profile = self._dtls.keys.profile.name
            self.state = TRANSITIONS.next(self.state, TransportEvent.KEYS)
