"""What a port tells of its clients: answers, phases, numbers. Values only."""

from dataclasses import dataclass, replace
from enum import Enum

from umbel.media.webrtc.publisher import Publisher
from umbel.media.webrtc.transport import TransportState
from umbel.media.webrtc.viewer import Viewer


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the client gets: the answer, and the name of what it may trickle to and delete."""

    sdp: str
    resource: str


class PublishPhase(Enum):
    """How far a publisher has come."""

    CONNECTED = "connected"
    FLOWING = "flowing"
    ENDED = "ended"


@dataclass(frozen=True, kw_only=True)
class PublishState:
    """A publisher's phase, its codecs as descriptions name them (`H264`, `VP8`, `OPUS`; empty
    without the medium), and why it ended."""

    phase: PublishPhase
    video: str
    audio: str
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class PeerStats:
    """One client. `packets` and `octets` were sent to a viewer, or came from a publisher."""

    resource: str
    session: str
    is_viewer: bool
    state: str
    srtp_profile: str
    packets: int
    octets: int
    packets_resent: int = 0
    replays: int = 0
    pictures_requested: int = 0
    fraction_lost: float = 0.0
    round_trip_s: float | None = None


def phase_of(publisher: Publisher) -> PublishPhase | None:
    """How far a publisher has come; None before it is connected."""
    if publisher.transport.state is TransportState.CLOSED:
        return PublishPhase.ENDED
    if publisher.is_flowing:
        return PublishPhase.FLOWING
    return PublishPhase.CONNECTED if publisher.transport.is_connected else None


def publish_state(publisher: Publisher, phase: PublishPhase) -> PublishState:
    """A publisher's state in words."""
    return PublishState(
        phase=phase,
        video=publisher.codec(publisher.video),
        audio=publisher.codec(publisher.audio),
        reason=publisher.transport.reason,
    )


def stats_of(peer: Viewer | Publisher, *, resource: str, session: str) -> PeerStats:
    """How a client does now."""
    transport = peer.transport
    common = PeerStats(
        resource=resource,
        session=session,
        is_viewer=isinstance(peer, Viewer),
        state=transport.state.value,
        srtp_profile=transport.profile,
        packets=0,
        octets=0,
    )
    if isinstance(peer, Publisher):
        return replace(common, packets=peer.received, octets=peer.octets)
    packets, octets = peer.counts
    return replace(
        common,
        packets=packets,
        octets=octets,
        packets_resent=peer.resent,
        replays=peer.replays,
        pictures_requested=peer.reception.pictures_requested,
        fraction_lost=peer.reception.fraction_lost,
        round_trip_s=peer.reception.round_trip_s,
    )
