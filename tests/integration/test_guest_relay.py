"""The relay of guests, compiled as its image has it, on loopback."""

import asyncio
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from support.waiting import until
from umbel.compute.images import recipes

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")

HERE, OTHER = "127.0.0.1", "127.0.0.2"
MOST_CLIENTS = 16
GET = b"GET /healthz HTTP/1.1\r\n\r\n"


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    work = tmp_path_factory.mktemp("relay")
    recipes._compiled("relay.c", work)
    return work / "relay"


class Relay:
    """A relay that runs, and those who speak to it."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self.control, self.udp = (unused(kind) for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM))

    def client(self) -> socket.socket:
        made = socket.create_connection((HERE, self.control), timeout=30)
        return self._stack.enter_context(made)

    def is_healthy(self) -> bool:
        """Also: each datagram that was sent before has been dealt with."""
        with self.client() as client:
            return answered(client)

    def sender(self, address: str) -> socket.socket:
        made = self._stack.enter_context(bound(address, socket.SOCK_DGRAM))
        made.connect((HERE, self.udp))
        return made


def bound(address: str, kind: socket.SocketKind) -> socket.socket:
    made = socket.socket(socket.AF_INET, kind)
    made.settimeout(30)
    made.bind((address, 0))
    return made


def unused(kind: socket.SocketKind) -> int:
    with bound(HERE, kind) as probe:
        return int(probe.getsockname()[1])


def answered(client: socket.socket) -> bool:
    client.sendall(GET)
    return client.recv(1000).startswith(b"HTTP/1.1 200 OK\r\n")


def hears_nothing(one: socket.socket) -> bool:
    one.setblocking(False)
    try:
        one.recv(1000)
    except BlockingIOError:
        return True
    finally:
        one.settimeout(30)
    return False


@contextmanager
def relay(program: Path, ready: Path, **environment: str) -> Iterator[Relay]:
    with ExitStack() as stack:
        made = Relay(stack)
        given = {
            "UMBEL_ADDRESS": HERE,
            "UMBEL_PORTS": f"control:tcp:{made.control} udp:udp:{made.udp}",
            "UMBEL_READY_FILE": str(ready),
        }
        process = stack.enter_context(subprocess.Popen([program], env={**given, **environment}))
        stack.callback(process.kill)
        asyncio.run(until(lambda: asyncio.to_thread(ready.exists)))
        yield made


def test_who_connects_and_says_nothing_holds_nobody_up(program: Path, tmp_path: Path) -> None:
    with relay(program, tmp_path / "ready", UMBEL_SENDERS=HERE) as one:
        silent, sender = one.client(), one.sender(HERE)
        sender.send(b"there")
        assert sender.recv(100) == b"there"
        assert one.is_healthy()
        assert hears_nothing(silent)
        assert answered(silent)


def test_clients_are_limited(program: Path, tmp_path: Path) -> None:
    with relay(program, tmp_path / "ready") as one:
        silent = [one.client() for _ in range(MOST_CLIENTS + 1)]
        assert silent[0].recv(100) == b""
        assert hears_nothing(silent[1])
        assert one.is_healthy()


@pytest.mark.parametrize("senders", ["", OTHER, HERE])
def test_datagrams_go_back_to_known_senders_alone(
    program: Path, tmp_path: Path, senders: str
) -> None:
    with relay(program, tmp_path / "ready", UMBEL_SENDERS=senders) as one:
        for address in (HERE, OTHER):
            sender = one.sender(address)
            sender.send(b"there")
            assert one.is_healthy()
            assert hears_nothing(sender) == (address != senders)


@pytest.mark.parametrize(("senders", "got"), [("", [HERE, OTHER]), (OTHER, [OTHER])])
def test_a_next_hop_gets_what_senders_send(
    program: Path, tmp_path: Path, senders: str, got: list[str]
) -> None:
    with bound(HERE, socket.SOCK_DGRAM) as hop:
        environment = {
            "UMBEL_NEXT_HOPS": f"{HERE}:{hop.getsockname()[1]}",
            "UMBEL_SENDERS": senders,
        }
        with relay(program, tmp_path / "ready", **environment) as one:
            for address in (HERE, OTHER):
                sender = one.sender(address)
                sender.send(address.encode())
                assert one.is_healthy()
                assert hears_nothing(sender)
            assert [hop.recv(100).decode() for _ in got] == got
            assert hears_nothing(hop)
