"""ARP as frames."""

import ipaddress

from hypothesis import given
from hypothesis import strategies as st

from umbel.network.switching import arp
from umbel.network.switching.arp import Arp

ADDRESSES = st.integers(0, 2**32 - 1).map(lambda number: str(ipaddress.IPv4Address(number)))
MACS = st.binary(min_size=6, max_size=6).map(lambda raw: raw.hex(":"))


def test_a_request_is_a_probe_to_all() -> None:
    assert arp.request("192.0.2.4").hex() == (
        "ffffffffffff02756d626cfd0806000108000604000102756d626cfd00000000000000000000c0000204"
    )


@given(ADDRESSES, MACS)
def test_frames_are_read_as_they_were_made(address: str, mac: str) -> None:
    asked = Arp(operation=1, sender_mac=arp.ASKER, sender="0.0.0.0", target=address)
    answered = Arp(operation=arp.REPLY, sender_mac=mac, sender=address, target="0.0.0.0")
    assert arp.parse(arp.request(address)) == asked
    assert arp.parse(arp.reply(mac, address) + bytes(18)) == answered  # padded to 60 bytes


@given(st.binary(max_size=80))
def test_other_frames_are_not_arp(frame: bytes) -> None:
    assert arp.parse(frame) is None or frame[12:14] == b"\x08\x06"
