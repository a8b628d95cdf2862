"""What the functions said of their streams last, and what was done to them since.

In: answers of media servers, which take their time, and states noted when a step was done. Out:
`streams`, in which neither a slow answer nor one that is awaited makes a function forget anything,
and who answered last time (`heard`).
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from umbel.media.model import Server, StreamState
from umbel.media.service import Media

_Notes = dict[tuple[str, str], StreamState | None]


@dataclass(kw_only=True)
class Answers:
    """States by function and stream."""

    media: Media
    streams: dict[str, dict[str, StreamState]] = field(default_factory=dict)
    heard: set[str] = field(default_factory=set)
    _notes: list[_Notes] = field(default_factory=list)

    async def poll(
        self, servers: Iterable[Server], functions: Collection[str], running: Collection[str] = ()
    ) -> None:
        """Ask all servers there are; `functions` are those that may have come since. Who is asked
        and silent is left out, but for those that are `running`: they carry what they carried."""
        asked = {server.function_id: server for server in servers}
        seen = await self._ask(asked.values())
        came = {f for f in self.streams if f in functions and (f not in asked or f in running)}
        self.heard = (self.heard & (functions - asked.keys())) | seen.keys()
        self.streams = {f: s for f, s in self.streams.items() if f in came} | seen

    async def poll_function(
        self, function: str, servers: Collection[Server], running: Collection[str] = ()
    ) -> None:
        """Ask one function, or none that runs no more. Until it answers it is as it was: one that
        was away for a moment would be fed no more."""
        seen = await self._ask(servers)
        if function not in running:
            self.streams.pop(function, None)
        self.streams |= seen
        self.heard = (self.heard - {function}) | seen.keys()

    def forget(self, function: str) -> None:
        """The function was started again, and carries nothing."""
        self.streams.pop(function, None)
        self.heard.discard(function)

    def note(self, function: str, state: StreamState | None, stream: str) -> None:
        """What a function just said of a stream (None: it carries it no more)."""
        for notes in self._notes:
            notes[function, stream] = state
        self.heard.add(function)
        _put(self.streams.setdefault(function, {}), stream, state)

    async def _ask(self, servers: Iterable[Server]) -> dict[str, dict[str, StreamState]]:
        """What the servers say; where a function reported since, its report is newer."""
        notes: _Notes = {}
        self._notes.append(notes)
        try:
            seen = await self.media.observe(servers)
        finally:
            self._notes = [one for one in self._notes if one is not notes]
        for (function, stream), state in notes.items():
            if function in seen:
                _put(seen[function], stream, state)
        return seen


def _put(carried: dict[str, StreamState], stream: str, state: StreamState | None) -> None:
    if state is None:
        carried.pop(stream, None)
    else:
        carried[stream] = state
