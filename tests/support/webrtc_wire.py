"""Two cores in memory and a wire between them that may lose packets; virtual time."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from support.h264 import Source
from support.webrtc_client import ADDRESS, Client
from umbel.media.rtp.stream import LiveStream
from umbel.media.webrtc import answer, negotiate, sdp
from umbel.media.webrtc.answer import Local
from umbel.media.webrtc.batch import Batch
from umbel.media.webrtc.dtls import Identity
from umbel.media.webrtc.publisher import Publisher
from umbel.media.webrtc.viewer import Viewer

SERVER = Identity(1_700_000_000.0)
CLIENT = Identity(1_700_000_000.0)


def answer_of(peer: Viewer | Publisher, plan: negotiate.Plan) -> str:
    """The answer a port would give for the peer."""
    transport = peer.transport
    local = Local(
        ufrag=transport.credentials.ufrag,
        password=transport.credentials.password,
        fingerprint=SERVER.fingerprint,
        setup=transport.setup,
        address="127.0.0.1",
        port=4000,
    )
    return answer.write(plan, local, peer.sources if isinstance(peer, Viewer) else {}, 1)


@dataclass
class Collected:
    """A sink that keeps everything."""

    batches: list[list[bytes]] = field(default_factory=list)

    def packets(self, batch: Sequence[bytes], now_s: float) -> None:
        """Take a batch."""
        self.batches.append(list(batch))

    @property
    def all(self) -> list[bytes]:
        """Every packet in order."""
        return [packet for batch in self.batches for packet in batch]


@dataclass
class Wire:
    """A client and its peer. `lose(datagram)` says which of the server's media packets vanish."""

    client: Client
    peer: Viewer | Publisher
    now_s: float = 100.0
    lose: Callable[[bytes], bool] = lambda _data: False

    def settle(self) -> None:
        """Carry everything that waits, both ways, until nothing does."""
        while True:
            up = self.client.take_outbox()
            for data in up:
                self.peer.receive_datagram(data, ADDRESS, self.now_s)
            down = self.peer.datagrams_to_send()
            for data, address in down:
                assert address == ADDRESS
                self.down(data)
            if not up and not down:
                return

    def down(self, data: bytes) -> None:
        """One datagram to the client."""
        if not (data[0] >= 128 and self.lose(data)):
            self.client.receive(data)

    def connect(self) -> None:
        """Checks and handshake."""
        self.client.check()
        self.settle()
        assert self.peer.transport.is_connected, self.peer.transport.reason

    def advance(self, seconds: float, step_s: float = 0.005) -> None:
        """Let time pass: ticks, paced packets, what both have to say."""
        end_s = self.now_s + seconds
        while self.now_s < end_s - 1e-9:
            self.now_s += step_s
            self.peer.handle_timer(self.now_s)
            if isinstance(self.peer, Viewer):
                for data in self.peer.pace(self.now_s).datagrams:
                    self.down(data)
            self.settle()


class Watching:
    """A stream with one viewer on a wire. The source's pictures come every 1/30 s."""

    def __init__(self, client: Client | None = None, *, gop: int = 30) -> None:
        self.source = Source(gop=gop)
        self.stream = LiveStream()
        self.stream.attach(self)
        self.client = client or Client(CLIENT)
        self.viewer: Viewer | None = None
        self.wire: Wire | None = None
        self.now_s = 100.0

    def join(self, lose: float = 0.0, seed: int = 1) -> Wire:
        """Negotiate and connect; `lose` is the share of media packets that vanish."""
        plan = negotiate.for_viewer(sdp.parse_offer(self.client.offer()), None)
        self.viewer = Viewer(plan, self.stream, SERVER, self.now_s)
        chance = random.Random(seed)
        self.wire = Wire(self.client, self.viewer, self.now_s, lambda _: chance.random() < lose)
        self.client.accept(answer_of(self.viewer, plan))
        self.wire.connect()
        return self.wire

    def packets(self, batch: Sequence[bytes], now_s: float) -> None:
        """The fan of a port: a batch to the viewer."""
        if self.viewer is not None and self.wire is not None:
            for data in self.viewer.media(Batch(batch, self.stream), now_s).datagrams:
                self.wire.down(data)

    def play(self, pictures: int, *, settle: Callable[[], None] | None = None) -> None:
        """Let pictures come, one each 1/30 s, with sound and reports between them."""
        for _ in range(pictures):
            if self.source.frame % 30 == 0:
                self.stream.packets(self.source.report(), self.now_s)
            self.stream.packets([*self.source.picture(), *self.source.sound()], self.now_s)
            if settle is not None:
                settle()
            if self.wire is None:
                self.now_s += 1 / 30
            else:
                self.wire.advance(1 / 30, 1 / 150)
                self.now_s = self.wire.now_s
