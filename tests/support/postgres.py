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
from collections.abc import Iterator
from pathlib import Path

import psycopg

from support.leftovers import Leftover, noted

START_S = 90.0
STOP_S = 60.0
ABSENT = "PostgreSQL's server programs are not installed (Debian: postgresql)"


def programs() -> Path | None:
    """The newest installed version's folder of programs."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=_version)
    if found:
        return found[-1].parent
    on_path = shutil.which("initdb")
    return Path(on_path).resolve().parent if on_path else None


class Cluster:
    """A cluster in its folder; `fresh` makes an empty database, or a copy, and tells its URL."""

    def __init__(self, bin_folder: Path, folder: Path, user: str | None, *, durable: bool) -> None:
        self._bin = bin_folder
        self._folder = folder
        self._user = user
        self._durable = durable
        self._server: subprocess.Popen[bytes] | None = None
        self._numbers = itertools.count(1)

    def connect(self, name: str = "postgres") -> psycopg.Connection:
        return psycopg.connect(
            host=str(self._folder), user="postgres", dbname=name, autocommit=True
        )

    def fresh(self, *, name: str = "", like: str = "template1") -> str:
        name = name or f"umbel_{next(self._numbers)}"
        with self.connect() as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {like}")
        return f"postgresql+psycopg://postgres@/{name}?host={self._folder}"

    def has(self, name: str) -> bool:
        with self.connect() as connection:
            known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name])
            return known.fetchone() is not None

    def make(self) -> None:
        init = [self._bin / "initdb", "-D", self._folder / "data", "-U", "postgres", "-A", "trust"]
        done = subprocess.run(
            [*map(str, init), "-E", "UTF8", "--no-sync"],
            cwd=self._folder,
            user=self._user,
            capture_output=True,
            text=True,
            check=False,
            timeout=START_S,
        )
        assert done.returncode == 0, done.stderr

    def start(self) -> None:
        options = [] if self._durable else ["-c", "fsync=off", "-c", "synchronous_commit=off"]
        command = [self._bin / "postgres", "-D", self._folder / "data", "-k", self._folder]
        settings = ["-c", "listen_addresses=", "-c", "max_connections=60", *options]
        with (self._folder / "log").open("ab") as log:
            self._server = subprocess.Popen(
                [*map(str, command), *settings],
                cwd=self._folder,
                user=self._user,
                stdout=log,
                stderr=log,
            )
        self._wait_ready(self._server)

    def stop(self) -> None:
        server, self._server = self._server, None
        if server is None or server.poll() is not None:
            return
        server.send_signal(signal.SIGINT)
        try:
            server.wait(STOP_S)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait(STOP_S)

    def _wait_ready(self, server: "subprocess.Popen[bytes]") -> None:
        deadline = time.monotonic() + START_S
        log = self._folder / "log"
        while True:
            try:
                self.connect().close()
            except psycopg.OperationalError:
                assert server.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    server.wait(0.05)
            else:
                return


@contextlib.contextmanager
def cluster(*, durable: bool = False) -> Iterator[Cluster]:
    """Start one, and end it whatever happens. `durable` keeps fsync on, for measurements."""
    bin_folder = programs()
    assert bin_folder is not None, ABSENT
    # Not tmp_path: a socket's path must be short, and the user postgres must reach it.
    folder = Path(tempfile.mkdtemp(prefix="umbel-pg-", dir="/tmp"))
    running = Cluster(bin_folder, folder, _give_away(folder), durable=durable)
    with noted(Leftover(folder=str(folder))):
        try:
            running.make()
            running.start()
            yield running
        finally:
            running.stop()
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
