"""What operators add to the network: paths, and functions that streams pass. Values only."""

from dataclasses import dataclass

from umbel.network.overlay.streams import Path, StreamIntent


@dataclass(frozen=True, kw_only=True)
class PathRequest:
    """A path that an operator asked for: of which stream (`intent` has no paths of its own), to
    where, and when (epoch seconds). `is_found`: its receiver's Ethernet address was not given, but
    the receiver answered."""

    id: str
    at_s: float
    intent: StreamIntent
    path: Path
    is_found: bool = False


@dataclass(frozen=True, kw_only=True)
class InlineFunction:
    """A function that a stream is to meet, under a name of the operator's: a process at `node` with
    an `address`, or the platform's own `function`, wherever that runs. With an `image` the platform
    runs that function for it, at `node`. It takes the stream at `port` and sends it on to the
    stream's own address."""

    name: str
    stream: str
    port: int
    node: str = ""
    address: str = ""
    function: str = ""
    image: str = ""

    @property
    def reported_at(self) -> str:
        """The node of one that the operator runs; empty: the platform runs it, and reports it."""
        return "" if self.function else self.node
