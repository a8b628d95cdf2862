"""The sender that is measured: RTP in, a stream, a WebRTC port. Nothing else.

First line on stdout: {"rtp": port}. Then per line on stdin {"offer"} one {"answer"} on stdout.
"""

import asyncio
import json
import sys

import uvloop

from umbel.media.io.webrtc_port import WebRtcPort
from umbel.media.rtp.stream import LiveStream
from umbel.media.wire.receiver import UdpReceiver


def say(message: dict[str, object]) -> None:
    """One line to the benchmark."""
    print(json.dumps(message), flush=True)


async def main() -> None:
    """Serve until stdin ends."""
    stream = LiveStream()
    port = await WebRtcPort.open("127.0.0.1")
    receiver = await UdpReceiver.open("127.0.0.1")
    receiver.attach(stream)
    say({"rtp": receiver.port})
    reader = asyncio.StreamReader(limit=1 << 20)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        offer = json.loads(line)["offer"]
        answer = port.watch(offer, stream, session="bench", on_end=lambda _reason: None)
        say({"answer": answer.sdp})
    receiver.close()
    await port.close()


uvloop.run(main())
