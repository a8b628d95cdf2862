"""Viewers that cost little: packets are counted, not decrypted; reports and checks go back.

Every 20 ms, unless told otherwise, each socket is emptied, so that reading does not disturb who
sends.
"""

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator

from support.webrtc_client import SSRC, Client
from umbel.media.rtp import rtcp
from umbel.media.rtp.rtcp import ReceiverReport, ReportBlock
from umbel.media.webrtc.dtls import Identity, SrtpProfile

_POLL_S = 0.02
_REPORT_S = 1.0
_CHECK_S = 2.5
_UNKNOWN = ("", 0)


@contextlib.asynccontextmanager
async def viewing(
    profile: SrtpProfile, viewers: int, poll_s: float = _POLL_S
) -> AsyncIterator[list["Sink"]]:
    """So many viewers, whose sockets are served each `poll_s`."""
    identity = Identity(time.time(), (profile,))
    sinks = [Sink(Client(identity, audio=())) for _ in range(viewers)]
    served = asyncio.create_task(serve(sinks, poll_s))
    try:
        yield sinks
    finally:
        served.cancel()
        await asyncio.gather(served, return_exceptions=True)
        for sink in sinks:
            sink.close()


class Sink:
    """One viewer on its socket."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.packets = 0
        self.octets = 0
        self.address = _UNKNOWN
        self.is_checking = True
        self._highest = 0
        self._media_ssrc = 0
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        # Janus cannot use the loopback interface: its own address is reached from any.
        self._socket.bind(("", 0))
        self.port: int = self._socket.getsockname()[1]

    def drain(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                data = self._socket.recv(2048)
                if data[0] < 128:
                    self.client.receive(data)
                elif not 192 <= data[1] <= 223:
                    self.packets += 1
                    self.octets += len(data)
                    self._highest = data[2] << 8 | data[3]
                    self._media_ssrc = int.from_bytes(data[8:12], "big")
        if self.client.dtls is not None and self.client.srtp is None and self.client.started:
            self.client.outbox += self.client.dtls.expired()
        self.flush()

    def flush(self) -> None:
        if self.address == _UNKNOWN:
            return  # a full agent's checks may come before its address is known
        for data in self.client.take_outbox():
            self._socket.sendto(data, self.address)

    def check(self) -> None:
        """Only to a lite end: a full one that offers does the checking itself."""
        if self.client.remote is not None and self.is_checking:
            self.client.check()
            self.flush()

    def report(self) -> None:
        if self.client.srtp is not None and self._media_ssrc:
            block = ReportBlock(ssrc=self._media_ssrc, highest_sequence=self._highest)
            report = ReceiverReport(ssrc=SSRC, blocks=(block,))
            self.client.outbox.append(self.client.srtp.protect_rtcp(rtcp.build([report])))
            self.flush()

    def close(self) -> None:
        if self.client.dtls is not None:
            self.client.outbox += self.client.dtls.close()
            self.flush()
        self._socket.close()


async def serve(sinks: list[Sink], poll_s: float) -> None:
    """Empty the sockets, report and check until cancelled."""
    report_s = check_s = 0.0
    while True:
        now_s = time.monotonic()
        for sink in sinks:
            sink.drain()
        if now_s >= report_s:
            report_s = now_s + _REPORT_S
            for sink in sinks:
                sink.report()
        if now_s >= check_s:
            check_s = now_s + _CHECK_S
            for sink in sinks:
                sink.check()
        await asyncio.sleep(poll_s)
