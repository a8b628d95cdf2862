"""A program that keeps the promises of `umbel media` towards its VIM, and nothing else: ready
file, health, SIGTERM. `--manner` makes it break one of them."""

import argparse
import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

_OK = b'HTTP/1.1 200 OK\r\nContent-Length: 15\r\nConnection: close\r\n\r\n{"status":"ok"}'
_SICK = b"HTTP/1.1 503 Sick\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--manner", default="good")
    for name in ("id", "role", "address", "ready-file", "public-key"):
        parser.add_argument(f"--{name}", required=True)
    for name in ("control", "tls", "http", "udp", "rtmp"):
        parser.add_argument(f"--{name}-port", type=int, default=0)
    return parser.parse_args()


async def main(args: argparse.Namespace) -> None:
    end = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, (lambda: None) if args.manner == "deaf" else end.set)
    assert os.environ["UMBEL_MEDIA_SECRET"]
    names = sorted(name for name in os.environ if name.startswith("UMBEL_"))
    sys.stderr.write(f"{' '.join(names)}\n")

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        good = head.startswith(b"GET /healthz ") and args.manner != "sick"
        writer.write(_OK if good else _SICK)
        await writer.drain()
        writer.close()

    control = await asyncio.start_server(answer, args.address, args.control_port)
    tls = await asyncio.start_server(answer, args.address, args.tls_port)
    http = await asyncio.start_server(answer, args.address, args.http_port)
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind((args.address, args.udp_port))
    ports = {
        "control": control.sockets[0].getsockname()[1],
        "tls": tls.sockets[0].getsockname()[1],
        "http": http.sockets[0].getsockname()[1],
        "udp": udp.getsockname()[1],
    }
    if args.role == "acquirer":
        rtmp = await asyncio.start_server(answer, args.address, args.rtmp_port)
        ports["rtmp"] = rtmp.sockets[0].getsockname()[1]
    if args.manner == "busy":
        workers(Path(args.ready_file + ".workers"))
    if args.manner != "never-ready":
        say_ready(args, ports)
    await end.wait()
    udp.close()


def workers(path: Path) -> None:
    """One worker in this session burns CPU; one in a session of its own waits."""
    burn = "import os; os.nice(15)\nwhile True: pass"
    wait = "import signal; signal.pause()"
    pids = [
        subprocess.Popen([sys.executable, "-c", burn]).pid,
        subprocess.Popen([sys.executable, "-c", wait], start_new_session=True).pid,
    ]
    path.write_text(json.dumps(pids))


def say_ready(args: argparse.Namespace, ports: dict[str, int]) -> None:
    path = Path(args.ready_file)
    draft = path.with_name(path.name + ".draft")
    document = {"id": args.id, "pid": os.getpid(), "address": args.address, "ports": ports}
    draft.write_text(json.dumps(document))
    draft.replace(path)


if __name__ == "__main__":
    arguments = options()
    if arguments.manner == "dies":
        sys.exit(7)
    asyncio.run(main(arguments))
