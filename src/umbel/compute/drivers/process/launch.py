"""Starts a function's process: its words, environment, ports and log. Nothing is kept here."""

import os
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from shutil import copyfile

import structlog

from umbel.compute.drivers.process.records import Record

log = structlog.get_logger(__name__)

MEDIA_COMMAND: tuple[str, ...] = (sys.executable, "-m", "umbel.media")
PORT_NAMES = ("control", "http", "udp", "rtmp")
LONGEST_LOG_BYTES = 8 * 1024 * 1024

_OURS = "UMBEL_"
_PASSED_ON = frozenset({"UMBEL_LOG_LEVEL"})


def words(command: Sequence[str], record: Record, ready_path: Path, public_key: Path) -> list[str]:
    """The command line of a function. A port it never had is 0: the kernel chooses."""
    ports = [
        word for name in PORT_NAMES for word in (f"--{name}-port", str(record.ports.get(name, 0)))
    ]
    return [
        *command,
        *("--id", record.id, "--role", record.role.value, "--address", record.address),
        *ports,
        *("--ready-file", str(ready_path), "--public-key", str(public_key)),
    ]


def environment(ours: Mapping[str, str], secret: str) -> dict[str, str]:
    """What a function may know: our environment less our own settings, which hold secrets such
    as the database's password, plus the secret that opens its control channel."""
    passed = {k: v for k, v in ours.items() if not k.startswith(_OURS) or k in _PASSED_ON}
    return passed | {"UMBEL_MEDIA_SECRET": secret}


def free_ports(record: Record) -> dict[str, int]:
    """The record's ports less those that someone else took meanwhile."""
    free = {}
    for name, port in record.ports.items():
        if _is_free(record.address, port, udp=name == "udp"):
            free[name] = port
        else:
            log.warning("port taken, another will do", id=record.id, name=name, port=port)
    return free


def start(argv: Sequence[str], env: Mapping[str, str], log_path: Path) -> int:
    """Start the process in a session of its own, with its output appended to the log; answers
    its pid. Raises OSError."""
    bound_log(log_path)
    # posix_spawn and not subprocess: a Popen insists on owning a child that is to outlive us.
    return os.posix_spawn(
        argv[0],
        list(argv),
        env,
        file_actions=[
            *((os.POSIX_SPAWN_CLOSE, fd) for fd in _inheritable()),
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(log_path), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
        setsigmask=[],
        setsigdef=[signal.SIGINT, signal.SIGTERM, signal.SIGPIPE, signal.SIGHUP],
    )


def bound_log(path: Path, longest_bytes: int = LONGEST_LOG_BYTES) -> None:
    """Once a log is too long, keep its text as PATH.1 and go on in an emptied file. The writer
    appends and so needs not know; what it writes between copy and cut is lost."""
    if path.exists() and path.stat().st_size > longest_bytes:
        copyfile(path, path.with_name(path.name + ".1"))
        os.truncate(path, 0)


def _inheritable() -> list[int]:
    # A server's listening socket may be marked to survive exec. In a function that outlives us
    # it would keep our successor from listening.
    found = []
    for fd in (int(entry.name) for entry in Path("/proc/self/fd").iterdir()):
        try:
            if fd > 2 and os.get_inheritable(fd):
                found.append(fd)
        except OSError:  # the one that the listing itself had open
            continue
    return found


def _is_free(address: str, port: int, *, udp: bool) -> bool:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    kind = socket.SOCK_DGRAM if udp else socket.SOCK_STREAM
    with socket.socket(family, kind) as probe:
        if not udp:  # as servers do: connections of the dead one in TIME_WAIT do not count
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
            if not udp:
                probe.listen(1)
        except OSError:
            return False
    return True
