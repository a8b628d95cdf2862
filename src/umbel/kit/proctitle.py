"""What `/proc` says of this process, when it becomes another than it was started as.

In: words and an environment. Out: the memory that `/proc/PID/cmdline` and `/proc/PID/environ` show
(proc(5)). Who starts the process leaves room there.
"""

import ctypes
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

_NAME, _LONGEST_NAME = 15, 15  # prctl(PR_SET_NAME); the kernel cuts longer ones
_AREAS = slice(45, 49)  # fields 48 to 51 of /proc/PID/stat, counted from the state (field 3)


def show(words: Sequence[str], environment: Mapping[str, str], name: str) -> bool:
    """Show these instead of what the process was started with, and `name` as its short name; False
    when there is not enough room, and nothing is changed."""
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()[_AREAS]
    args_begin, args_end, env_begin, env_end = map(int, fields)
    shown_args = b"".join(os.fsencode(word) + b"\0" for word in words)
    shown_env = b"".join(os.fsencode(f"{k}={v}") + b"\0" for k, v in environment.items())
    args_room, env_room = args_end - args_begin, env_end - env_begin
    if len(shown_args) > args_room or len(shown_env) > env_room:
        return False
    for key, value in os.environ.items():
        os.putenv(key, value)  # C's own variables point into this memory until they are set again
    ctypes.memmove(args_begin, shown_args.ljust(args_room, b"\0"), args_room)
    ctypes.memmove(env_begin, shown_env.ljust(env_room, b"\0"), env_room)
    ctypes.CDLL(None).prctl(_NAME, os.fsencode(name)[:_LONGEST_NAME])
    return True
