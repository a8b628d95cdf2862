"""Many datagrams a system call: recvmmsg and sendmmsg over memory that is laid out once.

In: a socket's number, or bytes. Out: messages on connected sockets; bytes objects only if asked.
Datagrams of one size travel together and the kernel cuts them up or joins them (UDP_SEGMENT,
UDP_GRO): along a chain of relays a burst is then handled once instead of once a packet. Linux on a
64-bit machine. The users are sender.py and receiver.py.
"""

import ctypes
import errno
import mmap
import socket
import threading
from collections.abc import Sequence

SLOTS = 32

_MSG_DONTWAIT = 0x40
_SOL_UDP = 17
_UDP_SEGMENT, _UDP_GRO = 103, 104
SLOT_BYTES = 65_536
MOST_BYTES = 65_000
_MOST_SEGMENTS = 64
_POINTER = ctypes.c_void_p


class _Iovec(ctypes.Structure):
    _fields_ = (("base", _POINTER), ("length", ctypes.c_size_t))


class _Message(ctypes.Structure):
    """struct mmsghdr."""

    _fields_ = (
        ("name", _POINTER),
        ("name_length", ctypes.c_uint),
        ("iov", _POINTER),
        ("iov_count", ctypes.c_size_t),
        ("control", _POINTER),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
        ("transferred", ctypes.c_uint64),
    )


class _Control(ctypes.Structure):
    """struct cmsghdr with a segment size: 16 bits to send, 32 bits when received."""

    _fields_ = (
        ("length", ctypes.c_size_t),
        ("level", ctypes.c_int),
        ("kind", ctypes.c_int),
        ("size", ctypes.c_uint32),
        ("padding", ctypes.c_uint32),
    )


# PyDLL keeps the interpreter's lock: the sockets never block, and giving the lock away would let
# any busy thread delay every packet by a switch interval.
_libc = ctypes.PyDLL(None, use_errno=True)
_recvmmsg, _sendmmsg = _libc.recvmmsg, _libc.sendmmsg
_recvmmsg.argtypes = (ctypes.c_int, _POINTER, ctypes.c_uint, ctypes.c_int, _POINTER)
_sendmmsg.argtypes = (ctypes.c_int, _POINTER, ctypes.c_uint, ctypes.c_int)

_WORDS = ctypes.sizeof(_Message) // 8
_IOV, _IOV_COUNT, _CONTROL, _CONTROL_LENGTH, _TRANSFERRED = (
    getattr(_Message, name).offset // 8
    for name in ("iov", "iov_count", "control", "control_length", "transferred")
)
_MESSAGE_BYTES = ctypes.sizeof(_Message)
_IOV_BYTES = ctypes.sizeof(_Iovec)
_CONTROL_BYTES = ctypes.sizeof(_Control)
_SIZE, _SIZES = _Control.size.offset // 4, _CONTROL_BYTES // 4


def join_incoming(made: socket.socket) -> None:
    """Ask the kernel to hand over bursts joined, where it can; elsewhere all works without."""
    try:
        made.setsockopt(_SOL_UDP, _UDP_GRO, 1)
    except OSError:
        pass


def private_memory(size: int) -> mmap.mmap:
    """So many bytes that cost real memory only once used. A forked process gets a copy: by default
    it would share them, and one function's packets would leave by another's sockets."""
    return mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)


class Ring:
    """What came in or goes out: messages of one datagram, or of several of one size.

    `lengths[i]` bytes are in slot i (`slots` from i times SLOT_BYTES on), `sizes[i]` is its
    segments' size (0: one datagram), `count` datagrams and `total` bytes are in all slots.
    `messages[j]` is how many datagrams the outgoing message j carries. The vectors are written
    through flat views: a ctypes attribute costs ten times as much as a view's item.
    """

    def __init__(self) -> None:
        self.lengths: list[int] = []
        self.sizes: list[int] = []
        self.messages: list[int] = []
        self.count = self.total = 0
        self._memory = private_memory(SLOTS * SLOT_BYTES)
        self.slots = memoryview(self._memory)
        self._into, self._from = (_Iovec * SLOTS)(), (_Iovec * SLOTS)()
        self._from_words = memoryview(self._from).cast("B").cast("Q")
        self._in, self._out = (_Message * SLOTS)(), (_Message * SLOTS)()
        self._in_words = memoryview(self._in).cast("B").cast("Q")
        self._out_words = memoryview(self._out).cast("B").cast("Q")
        self._received, self._sent = (_Control * SLOTS)(), (_Control * SLOTS)()
        self._received_sizes = memoryview(self._received).cast("B").cast("I")
        self._sent_sizes = memoryview(self._sent).cast("B").cast("I")
        self._in_at, self._out_at = ctypes.addressof(self._in), ctypes.addressof(self._out)
        self._from_at, self._sent_at = ctypes.addressof(self._from), ctypes.addressof(self._sent)
        self._lay_out()

    def _lay_out(self) -> None:
        memory = ctypes.addressof(ctypes.c_char.from_buffer(self._memory))
        into, received = ctypes.addressof(self._into), ctypes.addressof(self._received)
        for slot in range(SLOTS):
            self._from[slot].base = self._into[slot].base = memory + slot * SLOT_BYTES
            self._into[slot].length = SLOT_BYTES
            self._in[slot].iov = into + slot * _IOV_BYTES
            self._in[slot].iov_count = 1
            self._in[slot].control = received + slot * _CONTROL_BYTES
            self._in[slot].control_length = _CONTROL_BYTES
            self._sent[slot].length = _Control.size.offset + 2
            self._sent[slot].level = _SOL_UDP
            self._sent[slot].kind = _UDP_SEGMENT

    def receive(self, descriptor: int) -> int:
        """Fill the slots with what waits on a socket. How many slots, or minus the errno."""
        used: int = _recvmmsg(descriptor, self._in_at, SLOTS, _MSG_DONTWAIT, None)
        if used < 0:
            return -ctypes.get_errno()
        words, end = self._in_words, used * _WORDS
        self.lengths = lengths = words[_TRANSFERRED:end:_WORDS].tolist()
        self.total = sum(lengths)
        self.sizes, self.count = [0] * used, used
        for slot, received in enumerate(words[_CONTROL_LENGTH:end:_WORDS].tolist()):
            if received:
                size = self._received_sizes[slot * _SIZES + _SIZE]
                self.sizes[slot] = size
                self.count += -(-lengths[slot] // size) - 1
            words[slot * _WORDS + _CONTROL_LENGTH] = _CONTROL_BYTES
        return used

    def fill(self, batch: Sequence[bytes]) -> int:
        """Put datagrams, none empty or above 65000 bytes, into the slots. How many found room."""
        lengths = [len(data) for data in batch]
        self.lengths, self.sizes, self.count = [], [], 0
        for run in equal_runs(lengths)[:SLOTS]:
            at = len(self.lengths) * SLOT_BYTES
            data = b"".join(batch[self.count : self.count + run])
            self.slots[at : at + len(data)] = data
            self.lengths.append(len(data))
            self.sizes.append(lengths[self.count] if run > 1 else 0)
            self.count += run
        self.total = sum(self.lengths)
        return self.count

    def datagrams(self) -> list[bytes]:
        """Copies of what is in the slots, one by one; empty ones are left out."""
        view, out = self.slots, []
        for slot, (length, size) in enumerate(zip(self.lengths, self.sizes, strict=True)):
            at = slot * SLOT_BYTES
            end, step = at + length, size or length
            if step:
                out += [bytes(view[a : min(a + step, end)]) for a in range(at, end, step)]
        return out

    def arrange(self) -> None:
        """Lay out what is in the slots as `messages`. Neighbours of one size become one message."""
        words, out, lengths = self._from_words, self._out_words, self.lengths
        for slot, length in enumerate(lengths):
            words[2 * slot + 1] = length
        runs = equal_runs(lengths) if self.count == len(lengths) else [1] * len(lengths)
        self.messages, first = [], 0
        for message, run in enumerate(runs):
            at = message * _WORDS
            out[at + _IOV] = self._from_at + first * _IOV_BYTES
            out[at + _IOV_COUNT] = run
            size = lengths[first] if run > 1 else self.sizes[first]
            if size:
                self._sent_sizes[message * _SIZES + _SIZE] = size
                out[at + _CONTROL] = self._sent_at + message * _CONTROL_BYTES
                out[at + _CONTROL_LENGTH] = _CONTROL_BYTES
            else:
                out[at + _CONTROL] = out[at + _CONTROL_LENGTH] = 0
            self.messages.append(run if run > 1 or not size else -(-lengths[first] // size))
            first += run

    def send(self, descriptor: int, first: int) -> int:
        """Send the arranged messages from `first` on over a connected socket.

        How many messages left, or minus the errno when the first one could not.
        """
        count = len(self.messages) - first
        sent: int = _sendmmsg(
            descriptor, self._out_at + first * _MESSAGE_BYTES, count, _MSG_DONTWAIT
        )
        return sent if sent >= 0 else -ctypes.get_errno()


def equal_runs(lengths: Sequence[int]) -> list[int]:
    """Cut lengths into runs the kernel can segment: all equal, except that the last may be shorter.

    A run has at most 64 members and fits one IP packet. The runs add up to the number of lengths.
    """
    runs: list[int] = []
    size = run = room = 0
    for length in lengths:
        if run and length <= size and length <= room:
            run, room = run + 1, (room - length if length == size else 0)
            continue
        if run:
            runs.append(run)
        size, run = length, 1
        room = min(MOST_BYTES, _MOST_SEGMENTS * size) - size
    if run:
        runs.append(run)
    return runs


# What a path that cannot cut segments answers: no checksum offload, a small MTU, an old kernel.
NO_SEGMENTS = frozenset({errno.EIO, errno.EINVAL, errno.EMSGSIZE, errno.EOPNOTSUPP})


class Rings(threading.local):
    """One ring for what came in and one for what was given as bytes, shared by all of a thread:
    each is used up before the next socket's turn."""

    def __init__(self) -> None:
        self.received = Ring()
        self.filled = Ring()


rings = Rings()
