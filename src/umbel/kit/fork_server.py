"""A fork server: a process that has imported a program once and forks it for each order.

In: orders on the Unix socket that is its stdin. Out: a process for each order, which is a child of
the client, and has what a process has that is started afresh. The server has one thread and no
event loop, and ends with its client. See docs/decisions/0100-fork-server.md.
"""

import errno
import fcntl
import gc
import json
import os
import signal
import socket
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass

from umbel.kit import netns, prctl, proctitle

READY = b"ready"
"""What the server says once it can fork."""

MORE = range(3, 8)
"""The numbers that a process has its further descriptors by."""

_MOST_BYTES = 256 * 1024
_MOST_DESCRIPTORS = 12
_ROOM = "UMBEL_ROOM"
_WORDS_ROOM, _ENVIRONMENT_ROOM = 4096, 32_768
_ANSWER_BYTES = 256


@dataclass(frozen=True, kw_only=True)
class Order:
    """What the process is to show and to run with: its short name, its words, its environment."""

    name: str
    words: tuple[str, ...]
    environment: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Streams:
    """Open descriptors of the client: what the process reads and writes, what it has as `MORE`, and
    its network namespace where that is not the server's."""

    stdin: int
    stdout: int
    stderr: int
    more: tuple[int, ...] = ()
    namespace: int | None = None


# --- the client's side


def with_room(
    words: Sequence[str], environment: Mapping[str, str]
) -> tuple[list[str], dict[str, str]]:
    """The words and the environment to start a server with, so that what it forks can show its
    own."""
    return [*words, " " * _WORDS_ROOM], {**environment, _ROOM: " " * _ENVIRONMENT_ROOM}


def order(server: socket.socket, wanted: Order, streams: Streams, within_s: float) -> int | None:
    """The pid of the new process, a child of this one; None when the server is lost, and then
    nothing runs. Blocks until the process shows what it is. Raises OSError: E2BIG or EMSGSIZE when
    the server has no room to show it, else when there is none for a process, or its namespace
    cannot be entered."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, prctl.adopting_orphans():
        ours.settimeout(within_s)
        server.settimeout(within_s)
        try:
            with theirs:
                _send(server, wanted, streams, theirs.fileno())
            answer = json.loads(server.recv(_ANSWER_BYTES))
        except (ConnectionError, TimeoutError, ValueError):
            _shut(server)
            return None
        if number := answer.get("errno"):
            raise OSError(number, os.strerror(number))
        pid: int = answer["pid"]
        if _let_go(ours, pid):
            return pid
        _shut(server)
        return None


def _shut(server: socket.socket) -> None:
    """Use it no more: what it says later must not answer another order."""
    with suppress(OSError):
        server.shutdown(socket.SHUT_RDWR)


def _let_go(gate: socket.socket, pid: int) -> bool:
    """Whether the process shows what it is and goes on, or has ended already; else end it."""
    try:
        gate.recv(1)
        gate.send(b"1")
    except ConnectionError:
        pass  # it has ended: its parent learns how
    except TimeoutError:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        return False
    return True


def _send(server: socket.socket, wanted: Order, streams: Streams, gate: int) -> None:
    kept = [streams.stdin, streams.stdout, streams.stderr, *streams.more]
    namespace = [] if streams.namespace is None else [streams.namespace]
    given = {"kept": len(kept), "namespaces": len(namespace)}
    line = json.dumps({"order": asdict(wanted), **given}).encode()
    socket.send_fds(server, [line], [gate, *kept, *namespace])


# --- the server's side


def serve() -> Order | None:
    """Serve until the client is gone: None then. In each forked process it returns too, with what
    that process is to be."""
    gc.collect()
    gc.freeze()  # nothing that is here now is looked at again, and so its pages stay shared
    with socket.socket(fileno=os.dup(0)) as client, suppress(ConnectionError):
        client.send(READY)
        while True:
            line, descriptors, _, _ = socket.recv_fds(client, _MOST_BYTES, _MOST_DESCRIPTORS)
            if not line:
                break
            with ExitStack() as received:
                for descriptor in descriptors:
                    received.callback(os.close, descriptor)
                given = json.loads(line)
                wanted = Order(**{**given["order"], "words": tuple(given["order"]["words"])})
                kept = 1 + given["kept"]
                is_whole = len(descriptors) == kept + given["namespaces"]
                namespace = descriptors[kept] if descriptors[kept:] else None
                answer = _answer(wanted, namespace) if is_whole else {"errno": errno.EMFILE}
                if answer is None:
                    client.close()
                    gate = fcntl.fcntl(descriptors[0], fcntl.F_DUPFD, MORE.stop)
                    inherited = [
                        fcntl.fcntl(d, fcntl.F_DUPFD, MORE.stop) for d in descriptors[1:kept]
                    ]
                    received.close()
                    _become(wanted, gate, inherited)
                    return wanted
            client.send(json.dumps(answer).encode())
    return None


def _answer(wanted: Order, namespace: int | None) -> dict[str, int] | None:
    """The answer to an order; None in the forked process."""
    if not proctitle.has_room(wanted.words, wanted.environment):
        return {"errno": errno.E2BIG}
    try:
        return _fork_orphan(namespace)
    except OSError as error:
        return {"errno": error.errno or errno.EAGAIN}


def _fork_orphan(namespace: int | None) -> dict[str, int] | None:
    """Fork twice: the first process ends, and so the client, who adopts orphans, becomes the
    second one's parent. None in the second one."""
    reads, writes = os.pipe()
    with os.fdopen(reads, "rb") as answers:
        try:
            first = os.fork()
        except OSError:
            os.close(writes)
            raise
        if first:
            os.close(writes)
            answer = answers.read()
            os.waitpid(first, 0)
            # Killed before it answered, as the kernel does when memory is short.
            return json.loads(answer) if answer else {"errno": errno.ENOMEM}
        _second(namespace, writes)
        return None


def _second(namespace: int | None, writes: int) -> None:
    """Fork once more and end; return in the new process."""
    answer, is_new = {"errno": errno.ENOMEM}, False
    try:
        if namespace is not None:
            netns.enter(namespace)
        pid = os.fork()
        answer, is_new = {"pid": pid}, not pid
    except OSError as error:
        answer = {"errno": error.errno or errno.EAGAIN}
    finally:
        if not is_new:  # also after an error that nobody expects: there is one server
            os.write(writes, json.dumps(answer).encode())
            os._exit(0)
    os.close(writes)


def _become(wanted: Order, gate: int, inherited: Sequence[int]) -> None:
    """Be what the order says, and wait until the client knows; end when it has given it up."""
    os.setsid()
    for target, descriptor in enumerate(inherited):
        os.dup2(descriptor, target)
        os.close(descriptor)
    os.environ.clear()
    os.environ.update(wanted.environment)
    proctitle.show(wanted.words, wanted.environment, wanted.name)
    with socket.socket(fileno=gate) as client:
        try:
            client.send(b"1")
            is_wanted = bool(client.recv(1))
        except OSError:
            is_wanted = False
    if not is_wanted:
        os._exit(1)
