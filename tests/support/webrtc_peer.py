"""aiortc as the foreign end of WHIP and WHEP, kept on the loopback interface."""

import asyncio
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction

import aioice.ice
import httpx
from aiortc import (
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
    VideoStreamTrack,
)
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av import VideoFrame


@contextmanager
def on_loopback(address: str = "127.0.0.1") -> Iterator[None]:
    """aioice offers every address of the machine but loopback's; here it is the other way, or it
    is this address alone."""
    gather = aioice.ice.get_host_addresses
    aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: [address]
    try:
        yield
    finally:
        aioice.ice.get_host_addresses = gather


@dataclass
class Watcher:
    """One WHEP viewer that counts the frames it decodes; `on_frame` gets the pictures."""

    http: httpx.AsyncClient
    url: str
    token: str
    on_frame: Callable[[VideoFrame], None] = lambda _: None
    frames: dict[str, int] = field(default_factory=dict)
    sizes: set[tuple[int, int]] = field(default_factory=set)
    peer: RTCPeerConnection = field(
        default_factory=lambda: RTCPeerConnection(RTCConfiguration(iceServers=[]))
    )
    response: httpx.Response | None = None
    readers: list[asyncio.Task[None]] = field(default_factory=list)

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    @property
    def resource(self) -> str:
        assert self.response is not None
        return str(httpx.URL(self.url).join(self.response.headers["location"]))

    async def offer(self) -> str:
        for kind in ("audio", "video"):
            self.peer.addTransceiver(kind, direction="recvonly")
        await self.peer.setLocalDescription(await self.peer.createOffer())
        return self.peer.localDescription.sdp

    async def start(self) -> None:
        response = await self.ask()
        assert response.status_code == 201, response.text

    async def ask(self) -> httpx.Response:
        """The edge's answer to the offer; it is taken when it is one."""
        self.peer.on("track", self._on_track)
        offer = await self.offer()
        headers = {**self.headers, "Content-Type": "application/sdp"}
        self.response = await self.http.post(self.url, content=offer, headers=headers)
        if self.response.status_code == 201:
            answer = RTCSessionDescription(self.response.text, "answer")
            await self.peer.setRemoteDescription(answer)
        return self.response

    async def is_known(self) -> bool:
        """Whether the edge still has this connection: a trickle fragment (RFC 8840) with the
        credentials in use changes nothing, and one that was restarted answers it with 404."""
        own = re.findall(r"a=ice-(?:ufrag|pwd):.*\r\n", self.peer.localDescription.sdp)[:2]
        headers = {**self.headers, "Content-Type": "application/trickle-ice-sdpfrag"}
        answer = await self.http.patch(self.resource, content="".join(own), headers=headers)
        return answer.is_success

    async def close(self) -> None:
        await self.peer.close()
        for reader in self.readers:
            reader.cancel()
        await asyncio.gather(*self.readers, return_exceptions=True)

    def _on_track(self, track: MediaStreamTrack) -> None:
        self.readers.append(asyncio.create_task(self._count(track)))

    async def _count(self, track: MediaStreamTrack) -> None:
        try:
            while True:
                frame = await track.recv()
                self.frames[track.kind] = self.frames.get(track.kind, 0) + 1
                if isinstance(frame, VideoFrame):
                    self.sizes.add((frame.width, frame.height))
                    self.on_frame(frame)
        except MediaStreamError:
            pass


class Pattern(VideoStreamTrack):
    """Moving stripes, 320x240."""

    async def recv(self) -> VideoFrame:
        pts, time_base = await self.next_timestamp()
        frame = VideoFrame(320, 240, "yuv420p")
        for index, plane in enumerate(frame.planes):
            value = (pts // 3000 * 5) % 256 if index == 0 else 128
            plane.update(bytes([value]) * plane.buffer_size)
        frame.pts, frame.time_base = pts, Fraction(time_base)
        return frame


def picture_requests(peer: RTCPeerConnection) -> list[float]:
    """When the peer was asked for key pictures from now on, in the loop's time; it grows."""
    (sender,) = peer.getSenders()
    answer, asked_s = sender._send_keyframe, list[float]()

    def note() -> None:
        asked_s.append(asyncio.get_running_loop().time())
        answer()

    vars(sender)["_send_keyframe"] = note
    return asked_s


async def publish(
    http: httpx.AsyncClient, url: str, key: str, codec: str
) -> tuple[RTCPeerConnection, httpx.Response]:
    """A WHIP publisher that offers one video codec."""
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    sender = peer.addTrack(Pattern())
    codecs = RTCRtpSender.getCapabilities("video").codecs
    transceiver = next(t for t in peer.getTransceivers() if t.sender is sender)
    transceiver.setCodecPreferences([c for c in codecs if c.name == codec])
    await peer.setLocalDescription(await peer.createOffer())
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/sdp"}
    response = await http.post(url, content=peer.localDescription.sdp, headers=headers)
    if response.status_code == 201:
        await peer.setRemoteDescription(RTCSessionDescription(response.text, "answer"))
    return peer, response
