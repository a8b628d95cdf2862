"""SRTP between functions: libsrtp reads it, late receivers read it, and nothing forged passes."""

import random
import struct
from itertools import count

import pylibsrtp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from umbel.media.model import SRTP_KEY_BYTES
from umbel.media.rtp.hop_srtp import (
    MKI_BYTES,
    TRAILER_BYTES,
    Protector,
    Unprotector,
    master_key,
)
from umbel.media.rtp.packet import build_header

KEY, OTHER_KEY = bytes(range(SRTP_KEY_BYTES)), bytes(SRTP_KEY_BYTES)
VIDEO, AUDIO = 0x1111_2222, 0x3333_4444
NOW_MS = 1_790_000_000_000


def media(sequence: int, ssrc: int = VIDEO, body: bytes = b"picture") -> bytes:
    return build_header(96, sequence, sequence * 3000, ssrc) + body


def report(ssrc: int = VIDEO, packets: int = 7) -> bytes:
    return struct.pack("!BBHIQIII", 0x80, 200, 6, ssrc, 1, 2, packets, 4)


def protector(began_ms: int = NOW_MS, key: bytes = KEY) -> Protector:
    return Protector(key, lambda: began_ms)


def oracle(packet: bytes) -> pylibsrtp.Session:
    """libsrtp with the packet's master key."""
    policy = pylibsrtp.Policy(
        key=master_key(KEY, packet[-MKI_BYTES:]),
        ssrc_type=pylibsrtp.Policy.SSRC_ANY_INBOUND,
        srtp_profile=pylibsrtp.Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
    )
    return pylibsrtp.Session(policy)


@given(st.integers(0, 0xFFFF), st.binary(max_size=1200), st.integers(0, 0xFFFFFFFF))
def test_libsrtp_reads_it(sequence: int, body: bytes, ssrc: int) -> None:
    plain = [media(sequence, ssrc, body), report(ssrc)]
    first, second = protector().protect(plain, 0.0)
    assert len(first) == len(plain[0]) + TRAILER_BYTES
    session = oracle(first)
    assert session.unprotect(first[:-MKI_BYTES]) == plain[0]
    assert session.unprotect_rtcp(second[:-MKI_BYTES]) == plain[1]


def test_headers_with_sources_and_extensions_stay_in_the_clear() -> None:
    header = bytes([0x92, 96]) + media(5)[2:12] + bytes(8) + b"\xbe\xde\x00\x01abcd"
    (protected,) = protector().protect([header + b"picture"], 0.0)
    assert protected.startswith(header)
    assert oracle(protected).unprotect(protected[:-MKI_BYTES]) == header + b"picture"
    assert Unprotector(KEY).unprotect([protected], 0.0) == [header + b"picture"]


@given(st.lists(st.tuples(st.sampled_from([VIDEO, AUDIO]), st.booleans()), max_size=60))
def test_what_is_protected_is_read_in_its_order(kinds: list[tuple[int, bool]]) -> None:
    numbers = {VIDEO: count(65_500), AUDIO: count(3)}
    sent = [
        report(ssrc, number) if is_report else media(next(numbers[ssrc]) & 0xFFFF, ssrc)
        for number, (ssrc, is_report) in enumerate(kinds)
    ]
    reader = Unprotector(KEY)
    assert reader.unprotect(protector().protect(sent, 0.0), 0.0) == sent
    assert reader.refused == 0


def test_a_receiver_joins_after_any_number_of_packets() -> None:
    sender, late = protector(), Unprotector(KEY)
    for start in range(0, 3 * 65_536, 4096):
        sender.protect([media(start & 0xFFFF)], start / 1000)
    plain = [media(n & 0xFFFF) for n in range(3 * 65_536 + 5000, 3 * 65_536 + 5010)]
    assert late.unprotect(sender.protect(plain, 200.0), 200.0) == plain


def test_keys_are_renewed_when_numbers_start_again_and_once_a_minute() -> None:
    sender = protector()
    plain = [media(65_534), media(65_535), media(0), media(1)]
    identifiers = [data[-MKI_BYTES:] for data in sender.protect(plain, 0.0)]
    assert identifiers[0] == identifiers[1] != identifiers[2] == identifiers[3]
    (later,) = sender.protect([media(2)], 61.0)
    assert later[-MKI_BYTES:] not in identifiers


def test_a_clock_that_is_set_back_silences_nothing() -> None:
    """Sound and pictures take new keys at different times: what goes on keeps old keys refused."""
    clock = [NOW_MS]
    sender, reader = Protector(KEY, lambda: clock[0]), Unprotector(KEY)
    assert reader.unprotect(sender.protect([media(1), media(1, AUDIO)], 0.0), 0.0)
    clock[0] -= 3_600_000
    plain = [media(2, AUDIO)]
    assert reader.unprotect(sender.protect(plain, 61.0), 1.0) == plain


def test_keys_that_are_taken_at_once_differ_by_more_than_chance() -> None:
    sender = protector()
    out = sender.protect([media(9) for _ in range(50)], 0.0)
    assert len({data[-MKI_BYTES:][:6] for data in out}) == 50


def test_no_number_is_used_twice_with_a_key() -> None:
    sender = protector()
    out = sender.protect([media(9), media(9), media(8), media(9)], 0.0)
    assert len({(data[-MKI_BYTES:], data[2:4]) for data in out}) == 4


def test_each_packet_passes_once() -> None:
    packets = protector().protect([media(1), media(2), report(), media(3)], 0.0)
    reader = Unprotector(KEY)
    random.Random(1).shuffle(packets)
    assert len(reader.unprotect(packets, 0.0)) == 4
    assert reader.unprotect(packets, 0.0) == []
    assert reader.refused == 4


def test_a_recording_is_not_played_into_a_stream_that_is_on_air() -> None:
    recorded = protector(NOW_MS - 180_000).protect([media(n, 7) for n in range(9)], 0.0)
    reader = Unprotector(KEY)
    assert reader.unprotect(protector().protect([media(1)], 0.0), 0.0) == [media(1)]
    assert reader.unprotect(recorded, 1.0) == []
    # A sender on a machine whose clock is behind is heard once nothing else is.
    assert len(reader.unprotect(recorded, 10.0)) == 9


def test_another_key_and_plain_packets_are_refused() -> None:
    reader = Unprotector(KEY)
    strange = protector(key=OTHER_KEY).protect([media(1), report()], 0.0)
    plain = [media(2, body=bytes(60)), report(), b"", b"\x80", bytes(40)]
    assert reader.unprotect([*strange, *plain], 0.0) == []
    assert reader.refused == 7


@pytest.mark.parametrize("is_report", [False, True])
@given(data=st.data())
def test_no_byte_can_be_changed(is_report: bool, data: st.DataObject) -> None:
    (packet,) = protector().protect([report() if is_report else media(7)], 0.0)
    at = data.draw(st.integers(0, len(packet) - 1))
    changed = bytearray(packet)
    changed[at] ^= data.draw(st.integers(1, 255))
    reader = Unprotector(KEY)
    assert reader.unprotect([bytes(changed)], 0.0) == []
    assert reader.unprotect([packet], 0.0) == [report() if is_report else media(7)]


def test_forged_identifiers_keep_no_key_from_being_read() -> None:
    reader, forger = Unprotector(KEY), protector(key=OTHER_KEY)
    for _ in range(200):
        assert reader.unprotect(forger.protect([media(9)], 0.0), 0.0) == []
    plain = [media(1)]
    assert reader.unprotect(protector().protect(plain, 0.0), 0.0) == plain


@given(st.lists(st.binary(max_size=80), max_size=40))
def test_any_bytes_are_refused_and_harm_nothing(junk: list[bytes]) -> None:
    reader = Unprotector(KEY)
    assert reader.unprotect(junk, 0.0) == []
    assert reader.refused == len(junk)
    plain = media(1)
    assert reader.unprotect(protector().protect([plain], 0.0), 2.0) == [plain]


def test_memory_is_bounded_whatever_a_sender_does() -> None:
    reader = Unprotector(KEY)
    sender = protector()
    for number in range(200):
        out = sender.protect([media(number, number)], 0.0)
        reader.unprotect(out, number / 10)
    assert len(reader._known) <= 16
    assert len(sender._sources) <= 16
