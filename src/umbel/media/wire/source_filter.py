"""Which hosts a UDP socket takes datagrams from, as a filter in the kernel (classic BPF).

In: a socket and addresses. Out: the socket's filter. What it drops costs no system call, so a host
that is not on the list cannot even keep a receiver busy. Linux: linux/filter.h, bpf(4).
"""

import ctypes
import ipaddress
import socket
import struct
from collections.abc import Iterable, Iterator

MOST_SOURCES = 64

_SO_ATTACH_FILTER, _SO_DETACH_FILTER = 26, 27
_NETWORK_HEADER = 0xFFF00000  # SKF_NET_OFF: offsets from here count in the IP header
_LOAD, _JUMP_EQUAL, _RETURN = 0x20, 0x15, 0x06
_DROP, _TAKE = 0, 0xFFFFFFFF
# Where the source is in the header (RFC 791, RFC 8200), and in how many words of 32 bits.
_SOURCE_AT = {4: (12, 1), 6: (8, 4)}

_Instruction = tuple[int, int, int, int]
IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


def set_sources(bound: socket.socket, addresses: Iterable[IpAddress]) -> None:
    """Take datagrams from these hosts alone, from now on; from all, where there are none. What came
    before is kept. Raises OSError."""
    known = list(addresses)
    if not known:
        # Detaching needs a value that is not read; a socket without a filter answers ENOENT.
        try:
            bound.setsockopt(socket.SOL_SOCKET, _SO_DETACH_FILTER, 0)
        except FileNotFoundError:
            pass
        return
    version = 6 if bound.family == socket.AF_INET6 else 4
    code = b"".join(
        struct.pack("=HBBI", *one)
        for one in program((a for a in known if a.version == version), version)
    )
    buffer = ctypes.create_string_buffer(code, len(code))
    header = struct.pack("@HP", len(code) // 8, ctypes.addressof(buffer))
    bound.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, header)


def program(addresses: Iterable[IpAddress], version: int) -> Iterator[_Instruction]:
    """The instructions (code, jump if true, jump if false, value) that take only these sources."""
    first, words = _SOURCE_AT[version]
    for address in addresses:
        for word in range(words):
            at = _NETWORK_HEADER + first + 4 * word
            value = int.from_bytes(address.packed[4 * word : 4 * word + 4], "big")
            yield _LOAD, 0, 0, at
            # To the next address: past the words that are left, two instructions each, and RETURN.
            yield _JUMP_EQUAL, 0, 2 * (words - word - 1) + 1, value
        yield _RETURN, 0, 0, _TAKE
    yield _RETURN, 0, 0, _DROP
