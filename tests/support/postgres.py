"""A private PostgreSQL cluster in a folder of its own, reached over a Unix socket, ended by pid.

As root its programs run as the user postgres, because they refuse root.
"""

import contextlib
import itertools
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import psycopg

START_S = 30.0
STOP_S = 10.0
ABSENT = "PostgreSQL's server programs are not installed (Debian: postgresql)"


def programs() -> Path | None:
    """The newest installed version's folder of programs."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=_version)
    if found:
        return found[-1].parent
    on_path = shutil.which("initdb")
    return Path(on_path).resolve().parent if on_path else None


class Cluster:
    """A running cluster; `fresh` makes an empty database and tells its SQLAlchemy URL."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = itertools.count(1)

    def connect(self, name: str = "postgres") -> psycopg.Connection:
        return psycopg.connect(
            host=str(self._folder), user="postgres", dbname=name, autocommit=True
        )

    def fresh(self) -> str:
        name = f"umbel_{next(self._numbers)}"
        with self.connect() as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return f"postgresql+psycopg://postgres@/{name}?host={self._folder}"


@contextlib.contextmanager
def cluster(*, durable: bool = False) -> Iterator[Cluster]:
    """Start one, and end it whatever happens. `durable` keeps fsync on, for measurements."""
    bin_folder = programs()
    assert bin_folder is not None, ABSENT
    # Not tmp_path: a socket's path must be short, and the user postgres must reach it.
    folder = Path(tempfile.mkdtemp(prefix="umbel-pg-", dir="/tmp"))
    try:
        user = _give_away(folder)
        data = folder / "data"
        init = [bin_folder / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8"]
        _run([*map(str, init), "--no-sync"], folder, user)
        options = [] if durable else ["-c", "fsync=off", "-c", "synchronous_commit=off"]
        command = [str(bin_folder / "postgres"), "-D", str(data), "-k", str(folder)]
        settings = ["-c", "listen_addresses=", "-c", "max_connections=60", *options]
        with (folder / "log").open("wb") as log:
            server = subprocess.Popen(
                [*command, *settings], cwd=folder, user=user, stdout=log, stderr=log
            )
        try:
            running = Cluster(folder)
            _wait_ready(running, server, folder / "log")
            yield running
        finally:
            _end(server)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _version(path: Path) -> float:
    try:
        return float(path.parts[-3])
    except ValueError:
        return 0.0


def _give_away(folder: Path) -> str | None:
    if os.geteuid() != 0:
        return None
    shutil.chown(folder, "postgres", "postgres")
    return "postgres"


def _run(command: Sequence[str], folder: Path, user: str | None) -> None:
    done = subprocess.run(
        command, cwd=folder, user=user, capture_output=True, text=True, check=False, timeout=START_S
    )
    assert done.returncode == 0, done.stderr


def _wait_ready(running: Cluster, server: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + START_S
    while True:
        try:
            running.connect().close()
        except psycopg.OperationalError:
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            with contextlib.suppress(subprocess.TimeoutExpired):
                server.wait(0.05)
        else:
            return


def _end(server: "subprocess.Popen[bytes]") -> None:
    if server.poll() is None:
        server.send_signal(signal.SIGINT)
        try:
            server.wait(STOP_S)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait(STOP_S)
