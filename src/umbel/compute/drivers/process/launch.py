"""Starts a function's process: its command line, environment, ports and log. Keeps nothing."""

import os
import signal
import socket
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from shutil import copyfile

import structlog

from umbel.compute import words
from umbel.compute.drivers.process.records import Record, dump
from umbel.compute.model import Function, Readiness, Transport
from umbel.compute.ports import CannotRun
from umbel.kit import ports as kit_ports

log = structlog.get_logger(__name__)

LONGEST_LOG_BYTES = 8 * 1024 * 1024

READY_FILE = "UMBEL_READY_FILE"
"""The variable that names the file where a function reports that it is ready."""

RECORD = "UMBEL_FUNCTION_RECORD"
"""The variable that holds the function's record, should its file be lost."""

_OURS = "UMBEL_"
_PASSED_ON = frozenset({"UMBEL_LOG_LEVEL"})


def command_line(function: Function, record: Record, ready_path: Path) -> list[str]:
    """The words that start the function. Raises CannotRun."""
    described = function.description
    if not described.command:
        raise CannotRun(f"{described.name} has no command", description=described.name)
    return _filled(described.command, record, ready_path)


def environment(
    ours: Mapping[str, str], function: Function, record: Record, ready_path: Path
) -> dict[str, str]:
    """What a function may know: our environment less our own settings, which hold secrets such
    as the database's password, plus its own, where it reports readiness, and its record. Raises
    CannotRun."""
    passed = without_ours(ours)
    described = function.description.environment
    values = _filled(list(described.values()), record, ready_path)
    own = dict(zip(described, values, strict=True)) | dict(function.environment)
    if record.port_range is not None:
        own[kit_ports.VARIABLE] = "{}-{}".format(*record.port_range)
    return passed | own | {READY_FILE: str(ready_path), RECORD: dump(record)}


def without_ours(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment less our own settings."""
    return {k: v for k, v in environment.items() if not k.startswith(_OURS) or k in _PASSED_ON}


def ports_for(record: Record) -> dict[str, int]:
    """The ports to start the function on: those it had, less those in use by others now.
    One that does not report its ports is given a free one for each that is missing, and so is any
    where the node has a range. Raises CannotRun when none of the range is free."""
    ports: dict[str, int] = {}
    for port in record.wants:
        number = port.number or record.ports.get(port.name, 0)
        if number and not port.number and not _is_free(record.address, number, port.transport):
            log.warning("port taken, another is chosen", id=record.id, name=port.name, port=number)
            number = 0
        allowed = record.port_range
        if allowed and not port.number and not allowed[0] <= number <= allowed[1]:
            number = _free_within(allowed, record, port.transport, ports.values())
        if number or record.readiness is Readiness.PROBED:
            ports[port.name] = number or _any_free(record.address, port.transport)
    return ports


def start(
    argv: Sequence[str], env: Mapping[str, str], log_path: Path, *, stdin: int | None = None
) -> int:
    """Start the process in a session of its own, with its output appended to the log, and without
    input where `stdin` is not given; answers its pid. Raises OSError."""
    bound_log(log_path)
    given = (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)
    # posix_spawn and not subprocess: a Popen insists on owning a child that is to outlive us.
    return os.posix_spawnp(
        argv[0],
        list(argv),
        env,
        file_actions=[
            *((os.POSIX_SPAWN_CLOSE, fd) for fd in _inheritable()),
            given if stdin is None else (os.POSIX_SPAWN_DUP2, stdin, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(log_path), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
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


def _filled(texts: Sequence[str], record: Record, ready_path: Path) -> list[str]:
    values = {f"ports[{port.name}]": str(record.ports.get(port.name, 0)) for port in record.wants}
    values |= {"id": record.id, "node": record.node, "address": record.address}
    values["ready_file"] = str(ready_path)
    return words.fill(texts, values, record.description)


def _free_within(
    allowed: tuple[int, int], record: Record, transport: Transport, chosen: Collection[int]
) -> int:
    for number in kit_ports.within(allowed):
        if number not in chosen and _is_free(record.address, number, transport):
            return number
    raise CannotRun(f"No port from {allowed[0]} to {allowed[1]} is free", node=record.node)


def _any_free(address: str, transport: Transport) -> int:
    with _socket(address, transport) as probe:
        probe.bind((address, 0))
        number: int = probe.getsockname()[1]
        return number


def _is_free(address: str, port: int, transport: Transport) -> bool:
    with _socket(address, transport) as probe:
        if transport is Transport.TCP:
            # As servers do: connections of the dead one in TIME_WAIT do not count.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
            if transport is Transport.TCP:
                probe.listen(1)
        except OSError:
            return False
    return True


def _socket(address: str, transport: Transport) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    kind = socket.SOCK_STREAM if transport is Transport.TCP else socket.SOCK_DGRAM
    return socket.socket(family, kind)
