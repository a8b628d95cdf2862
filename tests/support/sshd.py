"""Real SSH servers: OpenSSH's sshd with keys made for the test, ended with it.

    with sshd(folder, authorized=key.public) as server:
        server.target, server.host_key

In a network namespace it listens on the namespace's address; else on loopback.
"""

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncssh

from support.waiting import poll_while_running
from umbel.compute.machines.model import SshTarget
from umbel.kit import netns

_SSHD = shutil.which("sshd", path="/usr/sbin:/usr/bin")
_RUN = Path("/run/sshd")
ABSENT = "" if _SSHD else "OpenSSH's server is not installed (openssh-server)"


@dataclass(kw_only=True)
class Sshd:
    """A server. `start` it again after `stop`: it has the same port and host key."""

    target: SshTarget
    host_key: str
    folder: Path
    words: tuple[str, ...]
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Listen."""
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                self.words, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        _wait_for_banner(self)

    def stop(self) -> None:
        """As when the machine loses its power; what it runs goes on, though."""
        assert self.process is not None
        self.drop_connections()
        self.process.kill()
        self.process.wait()
        self.process = None

    def sessions(self) -> list[int]:
        """The processes that serve connections."""
        assert self.process is not None
        pid = self.process.pid
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def drop_connections(self) -> None:
        """As when the network between goes: nobody says goodbye."""
        for pid in self.sessions():
            os.kill(pid, 9)


@contextmanager
def sshd(
    folder: Path,
    *,
    authorized: str,
    address: str = "127.0.0.1",
    namespace: str = "",
    key_type: str = "ssh-ed25519",
) -> Iterator[Sshd]:
    """A server that takes this public key for the user who runs the tests."""
    assert _SSHD
    folder.mkdir(parents=True, exist_ok=True)
    key = asyncssh.generate_private_key(key_type)
    key.write_private_key(folder / "host_key")
    (folder / "host_key").chmod(0o600)
    (folder / "authorized_keys").write_text(authorized + "\n")
    port = _free_port(address, namespace)
    (folder / "sshd_config").write_text(
        f"Port {port}\nListenAddress {address}\nHostKey {folder}/host_key\n"
        f"AuthorizedKeysFile {folder}/authorized_keys\nStrictModes no\nUsePAM no\nPidFile none\n"
        "PasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin yes\n"
        "MaxStartups 100\nUseDNS no\n"
    )
    if os.geteuid() == 0:
        _RUN.mkdir(mode=0o755, exist_ok=True)
    words = [_SSHD, "-D", "-e", "-f", str(folder / "sshd_config")]
    if namespace:
        words = ["ip", "netns", "exec", namespace, *words]
    made = Sshd(
        target=SshTarget(host=address, port=port, user=_user()),
        host_key=key.export_public_key().decode().strip(),
        folder=folder,
        words=tuple(words),
    )
    made.start()
    try:
        yield made
    finally:
        if made.process is not None:
            made.stop()


def _user() -> str:
    return "root" if os.geteuid() == 0 else os.environ.get("USER", "nobody")


def _free_port(address: str, namespace: str) -> int:
    def port() -> int:
        with socket.socket() as probe:
            probe.bind((address, 0))
            number: int = probe.getsockname()[1]
            return number

    return netns.inside(namespace, port) if namespace else port()


def _wait_for_banner(server: Sshd) -> None:
    def is_there() -> bool:
        try:
            with socket.create_connection((server.target.host, server.target.port), 2) as probe:
                return probe.recv(4) == b"SSH-"
        except OSError:
            return False

    said = (server.folder / "log").read_text
    poll_while_running(is_there, server.process, within_s=30, said=said)
