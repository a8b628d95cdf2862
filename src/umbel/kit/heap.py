"""What the C library's allocator does with memory that is freed; see mallopt(3).

In: nothing. Out: a setting of the whole process; an allocator that has none is left alone.
"""

import ctypes

_MMAP_THRESHOLD = -3
_LARGE_BYTES = 1 << 20


def return_large_blocks() -> None:
    """Give blocks of a MiB and more back to the kernel at once. glibc learns from the first such
    block that is freed to keep all others, in each thread that had one."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, _LARGE_BYTES)
