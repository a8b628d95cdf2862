"""What a process may ask of the kernel about itself; see prctl(2).

In: a name, a signal. Out: nothing; a kernel that refuses is left to it.
"""

import ctypes
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_SET_PDEATHSIG, _SET_NAME, _SET_CHILD_SUBREAPER, _GET_CHILD_SUBREAPER = 1, 15, 36, 37
_LONGEST_NAME = 15
_prctl = ctypes.CDLL(None).prctl
_adopting = threading.Lock()


def set_name(name: str) -> None:
    """How `ps` and `top` name the process; the kernel takes 15 bytes."""
    _prctl(_SET_NAME, os.fsencode(name)[:_LONGEST_NAME])


def die_with_parent(signum: int) -> None:
    """Have this signal when the parent ends. The caller then looks whether it still lives."""
    _prctl(_SET_PDEATHSIG, signum)


@contextmanager
def adopting_orphans() -> Iterator[None]:
    """In this context, descendants whose parent ends become children of this process, instead of
    init's."""
    before = ctypes.c_int()
    with _adopting:  # it is the whole process that adopts
        _prctl(_GET_CHILD_SUBREAPER, ctypes.byref(before))
        _prctl(_SET_CHILD_SUBREAPER, 1)
        try:
            yield
        finally:
            _prctl(_SET_CHILD_SUBREAPER, before.value)
