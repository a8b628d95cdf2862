"""Calls the readers of datagrams on an event loop; sparingly, when there are many of them.

In: descriptors that never block, and what to call when they can be read. While wake-ups come in
quick succession it looks by the clock instead, as network cards do: with many streams that halves
what a packet costs, and delays it by three milliseconds at most. A patient one, for readers that
nobody waits for, always does, ten times a second. The only user is receiver.py.
"""

import asyncio
import select
from collections.abc import Callable
from weakref import WeakKeyDictionary

Read = Callable[[float], None]

# Busy: so many wake-ups within such a time. One stream, or a few, never are.
_BUSY_WAKEUPS, _BUSY_SPAN_S = 16, 0.020
_LOOK_S, _PATIENT_LOOK_S = 0.003, 0.100
# A reader reads so much at a time; what came within a patient look may be more.
_MOST_ROUNDS = 64


class Pump:
    """One of each kind per event loop; use `pump_of`. It is closed with its last reader."""

    def __init__(self, loop: asyncio.AbstractEventLoop, *, is_patient: bool = False) -> None:
        self._loop = loop
        self._is_patient = is_patient
        self._busy_wakeups = 1 if is_patient else _BUSY_WAKEUPS
        self._look_s = _PATIENT_LOOK_S if is_patient else _LOOK_S
        self._epoll = select.epoll()
        self._readers: dict[int, Read] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._span_s = float("-inf")
        self._wakeups = 0
        self._loop.add_reader(self._epoll.fileno(), self._wake)

    def add(self, descriptor: int, read: Read) -> None:
        """Call `read` with the loop's time whenever the descriptor can be read."""
        self._readers[descriptor] = read
        self._epoll.register(descriptor, select.EPOLLIN)

    def remove(self, descriptor: int) -> None:
        """Forget a descriptor, before it is closed."""
        del self._readers[descriptor]
        self._epoll.unregister(descriptor)
        if self._readers:
            return
        if self._timer is None:
            self._loop.remove_reader(self._epoll.fileno())
        else:
            self._timer.cancel()
        self._epoll.close()
        del _pumps[self._is_patient][self._loop]

    def _wake(self) -> None:
        now_s = self._loop.time()
        self._serve(now_s)
        if now_s - self._span_s > _BUSY_SPAN_S:
            self._span_s, self._wakeups = now_s, 0
        self._wakeups += 1
        if self._wakeups >= self._busy_wakeups and not self._epoll.closed:
            self._loop.remove_reader(self._epoll.fileno())
            self._timer = self._loop.call_later(self._look_s, self._look)

    def _look(self) -> None:
        served = self._serve(self._loop.time())
        rounds = 1
        while self._is_patient and rounds < _MOST_ROUNDS and not self._epoll.closed:
            if not self._serve(self._loop.time()):
                break
            rounds += 1
        if self._epoll.closed:
            return
        if served:
            self._timer = self._loop.call_later(self._look_s, self._look)
        else:
            self._timer, self._wakeups = None, 0
            self._loop.add_reader(self._epoll.fileno(), self._wake)

    def _serve(self, now_s: float) -> bool:
        ready = self._epoll.poll(0)
        for descriptor, _ in ready:
            read = self._readers.get(descriptor)
            # An earlier reader may have removed it.
            if read is not None:
                read(now_s)
        return bool(ready)


_pumps: dict[bool, WeakKeyDictionary[asyncio.AbstractEventLoop, Pump]] = {
    is_patient: WeakKeyDictionary() for is_patient in (False, True)
}


def pump_of(loop: asyncio.AbstractEventLoop, *, is_patient: bool = False) -> Pump:
    """The loop's pump of that kind."""
    known = _pumps[is_patient]
    pump = known.get(loop)
    if pump is None:
        pump = known[loop] = Pump(loop, is_patient=is_patient)
    return pump
