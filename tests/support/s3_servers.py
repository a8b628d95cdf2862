"""Real servers that speak S3, started for tests on a port of the kernel's choice, ended by pid.

nanio (PyPI) is small and is in `make test`; versitygw, which operators run, is built by
`make test-clouds`. Both keep objects as files, so that tests can damage them.
"""

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import botocore.session
import pytest

from support.disks import small_disk
from support.leftovers import Leftover, noted
from support.waiting import poll_while_running
from umbel.repository.drivers.s3 import Access, Bucket

VERSITYGW = Path(__file__).parents[2] / "build" / "clouds" / "bin" / "versitygw"
DISK_MB = 64
S3_KINDS = (
    "nanio",
    pytest.param(
        "versitygw",
        marks=[
            pytest.mark.clouds,
            pytest.mark.skipif(not VERSITYGW.exists(), reason="make test-clouds builds it"),
        ],
    ),
)
START_S, STOP_S = 60.0, 10.0
_LISTEN = "0A"  # in /proc/net/tcp


@dataclass(frozen=True, kw_only=True)
class S3Server:
    """A server with one bucket; its objects are files below `folder`, on a small disk of their
    own."""

    kind: str
    disk: Path
    folder: Path
    bucket: Bucket
    access: Access


@contextmanager
def running(kind: str, folder: Path) -> Iterator[S3Server]:
    """A server of that kind, with an empty bucket. Skips where no disk can be mounted."""
    access = Access(key=secrets.token_hex(8), secret=secrets.token_hex(16), region="us-east-1")
    with small_disk(folder / "disk", DISK_MB) as disk, noted(Leftover(folder=str(folder))):
        data = disk / "data"
        data.mkdir()
        start = _nanio if kind == "nanio" else _versitygw
        command, words = start(data, access)
        with _process(command, words, folder / f"{kind}.log") as endpoint:
            bucket = Bucket(endpoint=endpoint, name="umbel")
            _create(bucket, access)
            yield S3Server(
                kind=kind, disk=disk, folder=data / bucket.name, bucket=bucket, access=access
            )


def _nanio(data: Path, access: Access) -> tuple[Sequence[str], Mapping[str, str]]:
    # By uvicorn, as its own command does; that refuses port 0.
    command = [sys.executable, "-m", "uvicorn", "--factory", "nanio.app:build_app", "--port", "0"]
    words = {"NANIO_ACCESS_KEY": access.key, "NANIO_SECRET_KEY": access.secret}
    return [*command, "--no-access-log"], {**words, "NANIO_DATA_DIR": str(data)}


def _versitygw(data: Path, access: Access) -> tuple[Sequence[str], Mapping[str, str]]:
    words = {"ROOT_ACCESS_KEY": access.key, "ROOT_SECRET_KEY": access.secret}
    return [str(VERSITYGW), "--port", "127.0.0.1:0", "posix", str(data)], words


@contextmanager
def _process(command: Sequence[str], environment: Mapping[str, str], log: Path) -> Iterator[str]:
    """The running program's address."""
    with log.open("wb") as file:
        process = subprocess.Popen(
            command, stdout=file, stderr=file, env=os.environ | dict(environment)
        )
    try:
        yield _address(process, log)
    finally:
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(STOP_S)


def _address(process: "subprocess.Popen[bytes]", log: Path) -> str:
    ask = partial(_listening, process.pid)
    port = poll_while_running(ask, process, within_s=START_S, said=log.read_text)
    return f"http://127.0.0.1:{port}"


def _listening(pid: int) -> int | None:
    """The port where the process listens: not every program says which one the kernel chose."""
    own = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            own.add(str(link.readlink()))
    for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]:
        _, local, _, state, *rest = line.split()
        if state == _LISTEN and f"socket:[{rest[5]}]" in own:
            return int(local.partition(":")[2], 16)
    return None


def _create(bucket: Bucket, access: Access) -> None:
    client = botocore.session.Session().create_client(
        "s3",
        region_name=access.region,
        endpoint_url=bucket.endpoint,
        aws_access_key_id=access.key,
        aws_secret_access_key=access.secret,
    )
    client.create_bucket(Bucket=bucket.name)
    client.close()
