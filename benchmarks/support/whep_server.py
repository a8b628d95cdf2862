"""The sender that is measured: RTP in on one socket, a stream, a WebRTC port. Nothing else.

First line on stdout: {"rtp": port}. Then per line on stdin {"offer"} one {"answer"} on stdout.
"""

import asyncio
import contextlib
import json
import socket
import sys
import time

import uvloop

from umbel.media.drivers.webrtc import WebRtcPort
from umbel.media.rtp.stream import LiveStream


def say(message: dict[str, object]) -> None:
    """One line to the benchmark."""
    print(json.dumps(message), flush=True)


def feed(stream: LiveStream) -> socket.socket:
    """Everything that waits on the socket is one batch."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    sock.bind(("127.0.0.1", 0))

    def readable() -> None:
        batch = []
        with contextlib.suppress(BlockingIOError):
            while len(batch) < 64:
                batch.append(sock.recv(2048))
        stream.packets(batch, time.monotonic())

    asyncio.get_running_loop().add_reader(sock.fileno(), readable)
    return sock


async def main() -> None:
    """Serve until stdin ends."""
    loop = asyncio.get_running_loop()
    stream = LiveStream()
    port = await WebRtcPort.open("127.0.0.1")
    with feed(stream) as sock:
        say({"rtp": sock.getsockname()[1]})
        reader = asyncio.StreamReader(limit=1 << 20)
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        while line := await reader.readline():
            offer = json.loads(line)["offer"]
            answer = port.watch(offer, stream, session="bench", on_end=lambda _reason: None)
            say({"answer": answer.sdp})
        loop.remove_reader(sock.fileno())
    await port.close()


uvloop.run(main())
