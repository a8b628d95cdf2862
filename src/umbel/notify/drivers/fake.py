"""A courier in memory: receivers are as scripted, for scenarios and tests.

`answer` scripts a URL; what it was sent is in `taken`, in order.
"""

import asyncio
from collections import defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass

from umbel.notify.ports import Answer, Undelivered


@dataclass(frozen=True, kw_only=True)
class Posted:
    """One POST as the receiver saw it."""

    url: str
    body: bytes
    headers: Mapping[str, str]


class FakeCourier:
    """Receivers answer 204 unless told otherwise: a status, an Answer, None for no answer at all,
    or `hangs`."""

    def __init__(self) -> None:
        self.taken: list[Posted] = []
        self.tried = 0
        self._next: defaultdict[str, deque[Answer | None]] = defaultdict(deque)
        self._always: dict[str, Answer | None] = {}
        self._hanging: set[str] = set()

    def answer(self, url: str, *answers: int | Answer | None) -> None:
        """Give these answers next, one a POST."""
        self._next[url].extend(Answer(status=a) if isinstance(a, int) else a for a in answers)

    def always(self, url: str, status: int | None) -> None:
        """Answer so from now on, whenever nothing else is scripted."""
        self._always[url] = None if status is None else Answer(status=status)

    def hang(self, url: str, *, hangs: bool = True) -> None:
        """Take connections and say nothing, or speak again."""
        (self._hanging.add if hangs else self._hanging.discard)(url)

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        self.tried += 1
        if url in self._hanging:
            await asyncio.Event().wait()
        scripted = self._next[url]
        answer = scripted.popleft() if scripted else self._always.get(url, Answer(status=204))
        if answer is None:
            raise Undelivered("connection refused", url=url)
        if answer.status < 300:
            self.taken.append(Posted(url=url, body=body, headers=dict(headers)))
        return answer

    async def close(self) -> None: ...
