"""Peers on a wire in memory: how sessions come about and end, and damaged datagrams."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.examples import examples
from support.webrtc_client import (
    ADDRESS,
    Client,
)
from support.webrtc_wire import CLIENT, SERVER, Watching, Wire, answer_of
from umbel.kit.errors import Conflict
from umbel.media.webrtc import negotiate, sdp
from umbel.media.webrtc.dtls import CM_SHA1_80, HandshakeFailed, Identity
from umbel.media.webrtc.transport import TRANSITIONS, TransportEvent, TransportState
from umbel.media.webrtc.viewer import Viewer


def test_machine_refuses_what_cannot_happen() -> None:
    with pytest.raises(Conflict):
        TRANSITIONS.next(TransportState.NEW, TransportEvent.KEYS)
    assert not any(state is TransportState.CLOSED for state, _ in TRANSITIONS.transitions)


@pytest.mark.parametrize("setup", ["actpass", "active", "passive"])
def test_both_roles_of_dtls_connect(setup: str) -> None:
    watching = Watching(Client(CLIENT, setup=setup))
    wire = watching.join()
    assert wire.peer.transport.profile == "AEAD_AES_128_GCM"
    watching.play(3)
    assert len(watching.client.packets) > 6


def test_a_client_without_gcm_gets_the_older_profile() -> None:
    old = Identity(1_700_000_000.0, (CM_SHA1_80,))
    watching = Watching(Client(old))
    assert watching.join().peer.transport.profile == "AES_CM_128_HMAC_SHA1_80"
    watching.play(3)
    assert len(watching.client.packets) > 6


def test_a_certificate_that_was_not_described_is_refused() -> None:
    client = Client(CLIENT)
    plan = negotiate.for_viewer(sdp.parse_offer(client.offer()), None)
    viewer = Viewer(plan, Watching().stream, SERVER, 0.0)
    client.accept(answer_of(viewer, plan))
    client.identity = Identity(1_700_000_000.0)
    client.accept(answer_of(viewer, plan))
    wire = Wire(client, viewer)
    client.check()
    wire.settle()
    assert viewer.transport.state is TransportState.CLOSED
    assert "certificate" in viewer.transport.reason


def test_a_wrong_password_is_refused_and_proves_nothing() -> None:
    watching = Watching()
    plan = negotiate.for_viewer(sdp.parse_offer(watching.client.offer()), None)
    viewer = Viewer(plan, watching.stream, SERVER, 0.0)
    watching.client.accept(answer_of(viewer, plan))
    wire = Wire(watching.client, viewer)
    watching.client.check(password="x" * 30)
    wire.settle()
    assert watching.client.refused == [401]
    assert viewer.transport.state is TransportState.NEW


def test_media_goes_where_the_client_chose() -> None:
    watching = Watching()
    wire = watching.join()
    transport = wire.peer.transport
    other = ("127.0.9.2", 6000)
    watching.client.check(chosen=False)
    for data in watching.client.take_outbox():
        wire.peer.receive_datagram(data, other, wire.now_s)
    assert transport.address == ADDRESS
    watching.client.check(chosen=True)
    for data in watching.client.take_outbox():
        wire.peer.receive_datagram(data, other, wire.now_s)
    assert transport.address == other


def test_consent_that_is_not_renewed_ends_the_session() -> None:
    watching = Watching()
    wire = watching.join()
    wire.advance(20, 1)
    watching.client.check()
    wire.settle()
    wire.advance(29, 1)
    assert wire.peer.transport.is_connected
    wire.advance(2, 1)
    assert wire.peer.transport.state is TransportState.CLOSED


def test_a_handshake_that_does_not_end_is_given_up() -> None:
    watching = Watching()
    plan = negotiate.for_viewer(sdp.parse_offer(watching.client.offer()), None)
    viewer = Viewer(plan, watching.stream, SERVER, 100.0)
    watching.client.accept(answer_of(viewer, plan))
    watching.client.check()
    for data in watching.client.take_outbox():
        viewer.receive_datagram(data, ADDRESS, 100.0)
    viewer.handle_timer(109.0)
    before = viewer.transport.state
    viewer.handle_timer(110.5)
    assert (before, viewer.transport.state) == (TransportState.CHECKED, TransportState.CLOSED)
    assert "handshake" in viewer.transport.reason


def test_a_client_that_says_goodbye_is_gone_at_once() -> None:
    watching = Watching()
    wire = watching.join()
    assert watching.client.dtls is not None
    watching.client.outbox += watching.client.dtls.close()
    wire.settle()
    assert wire.peer.transport.reason == "the client left"


@examples(60)
@given(st.lists(st.binary(max_size=120), max_size=6), st.booleans())
def test_any_datagrams_leave_a_viewer_alive(datagrams: list[bytes], known: bool) -> None:
    watching = Watching()
    wire = watching.join()
    for first in (0, 22, 128, 200):
        for data in datagrams:
            wire.peer.receive_datagram(
                bytes((first,)) + data, ADDRESS if known else ("9", 9), wire.now_s
            )
    wire.peer.datagrams_to_send()
    watching.play(2)
    assert watching.client.packets


damages = st.tuples(st.integers(0, 5), st.integers(0, 1200), st.integers(1, 255))


@examples(100)
@given(st.lists(damages, max_size=4))
def test_damaged_handshakes_raise_nothing(damage: list[tuple[int, int, int]]) -> None:
    watching = Watching()
    plan = negotiate.for_viewer(sdp.parse_offer(watching.client.offer()), None)
    viewer = Viewer(plan, watching.stream, SERVER, 100.0)
    watching.client.accept(answer_of(viewer, plan))
    watching.client.check()
    carried = 0
    while sent_now := watching.client.take_outbox():
        for one in sent_now:
            bad = bytearray(one)
            for number, at, flip in damage:
                if number == carried:
                    bad[at % len(bad)] ^= flip
            carried += 1
            viewer.receive_datagram(bytes(bad), ADDRESS, 100.0)
        for one, _ in viewer.datagrams_to_send():
            try:
                watching.client.receive(one)
            except HandshakeFailed:  # the far end may choke on what comes of its own words
                return
    assert viewer.transport.is_connected or damage
