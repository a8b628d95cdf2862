"""What `/proc` says of this process, when it becomes another than it was started as.

In: words and an environment. Out: the memory that `/proc/PID/cmdline` and `/proc/PID/environ` show
(proc(5)). Who starts the process leaves room there.
"""

import ctypes
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from umbel.kit import prctl

_AREAS = slice(45, 49)  # fields 48 to 51 of /proc/PID/stat, counted from the state (field 3)


def has_room(words: Sequence[str], environment: Mapping[str, str]) -> bool:
    """Whether `show` can show these."""
    args_begin, args_end, env_begin, env_end = _areas()
    shown_args, shown_env = _shown(words, environment)
    return len(shown_args) <= args_end - args_begin and len(shown_env) <= env_end - env_begin


def show(words: Sequence[str], environment: Mapping[str, str], name: str) -> None:
    """Show these instead of what the process was started with, and `name` as its short name. There
    must be room."""
    args_begin, args_end, env_begin, env_end = _areas()
    shown_args, shown_env = _shown(words, environment)
    for key, value in os.environ.items():
        os.putenv(key, value)  # C's own variables point into this memory until they are set again
    args_room, env_room = args_end - args_begin, env_end - env_begin
    ctypes.memmove(args_begin, shown_args.ljust(args_room, b"\0"), args_room)
    ctypes.memmove(env_begin, shown_env.ljust(env_room, b"\0"), env_room)
    prctl.set_name(name)


def _areas() -> tuple[int, ...]:
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()[_AREAS]
    return tuple(map(int, fields))


def _shown(words: Sequence[str], environment: Mapping[str, str]) -> tuple[bytes, bytes]:
    args = b"".join(os.fsencode(word) + b"\0" for word in words)
    return args, b"".join(os.fsencode(f"{k}={v}") + b"\0" for k, v in environment.items())
