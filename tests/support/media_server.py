"""Real `umbel media` processes and real encoders for tests; each is ended by its pid."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import imageio_ffmpeg

from support.waiting import poll_while_running
from umbel.kit import tokens
from umbel.kit.tokens import Claims, Signer
from umbel.media.model import Server

SECRET = "open-sesame"
_READY_S = 60.0
_ENDED_S = 30.0


@dataclass
class MediaProcess:
    """One running media server."""

    server: Server
    ports: dict[str, int]
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def http(self) -> str:
        return f"http://{self.server.address}:{self.ports['http']}"

    @property
    def control(self) -> str:
        return f"http://{self.server.address}:{self.ports['control']}"

    def kill(self) -> None:
        """As a power cut would."""
        self.process.kill()
        self.process.wait(_ENDED_S)

    def end(self) -> int:
        """SIGTERM; the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(_ENDED_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(_ENDED_S)
            raise


@dataclass
class Ground:
    """Starts processes and remembers them; `close` ends them all."""

    folder: Path
    signer: Signer = field(default_factory=lambda: Signer(tokens.new_private_key()))
    started: list[MediaProcess] = field(default_factory=list)
    encoders: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(
        self,
        function_id: str,
        role: str,
        address: str,
        *,
        control_port: int = 0,
        tls_port: int = 0,
        more: Sequence[str] = (),
    ) -> MediaProcess:
        """A media server, when all its listeners are up."""
        key, ready = self.folder / "viewers.pem", self.folder / f"{function_id}.ready"
        key.write_bytes(self.signer.public_key)
        ready.unlink(missing_ok=True)
        log = self.folder / f"{function_id}.log"
        command = [sys.executable, "-m", "umbel.media", "--id", function_id, "--role", role]
        command += ["--address", address, "--ready-file", str(ready), "--public-key", str(key)]
        command += ["--control-port", str(control_port), "--tls-port", str(tls_port), *more]
        environment = {**os.environ, "UMBEL_MEDIA_SECRET": SECRET, "PYTHONPATH": _source()}
        with log.open("ab") as stderr:
            process = subprocess.Popen(command, env=environment, stderr=stderr)
        body = self._wait(process, ready, log)
        server = Server(
            function_id=function_id,
            address=address,
            control_port=body["ports"]["control"],
            secret=SECRET,
            tls_port=body["ports"]["tls"],
        )
        started = MediaProcess(server=server, ports=body["ports"], process=process, log=log)
        self.started.append(started)
        assert body["pid"] == process.pid
        return started

    def push(self, *arguments: str) -> subprocess.Popen[bytes]:
        """An encoder; `arguments` say where to."""
        log = (self.folder / "encoder.log").open("ab")
        source = ["-re", "-f", "lavfi", "-i", "testsrc2=size=320x240:rate=25"]
        source += ["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000"]
        video = ["-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "25"]
        video += ["-pix_fmt", "yuv420p", "-profile:v", "baseline", "-b:v", "500k"]
        audio = ["-c:a", "aac", "-b:a", "64k"]
        command = [ffmpeg(), "-hide_banner", "-loglevel", "warning", *source, *video, *audio]
        with log:
            process = subprocess.Popen(
                [*command, *arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        self.encoders.append(process)
        return process

    def token(self, session: str, stream: str, *, ttl_s: float = 600) -> str:
        """A viewer's token."""
        claims = Claims(subject=session, scope=stream, expires_s=time.time() + ttl_s)
        return self.signer.sign(claims, tokens.VIEWER)

    def close(self) -> None:
        for encoder in self.encoders:
            encoder.kill()
            encoder.wait(_ENDED_S)
        for media in self.started:
            media.end()

    @staticmethod
    def _wait(process: subprocess.Popen[bytes], ready: Path, log: Path) -> dict[str, Any]:
        def said() -> str:
            return f"no media server: {log.read_text()[-3000:]}"

        try:
            poll_while_running(ready.exists, process, within_s=_READY_S, said=said)
        except AssertionError:
            process.kill()
            process.wait(_ENDED_S)
            raise
        return json.loads(ready.read_text())


@contextmanager
def ground(folder: Path) -> Iterator[Ground]:
    """A Ground that is left clean."""
    made = Ground(folder)
    try:
        yield made
    finally:
        made.close()


def ffmpeg() -> str:
    return imageio_ffmpeg.get_ffmpeg_exe()


def key_hash(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def _source() -> str:
    return str(Path(__file__).parents[2] / "src")
