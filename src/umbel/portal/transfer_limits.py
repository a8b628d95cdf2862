"""How many transfers one address may have open, and how often it may try addresses of transfers.

In: sources of requests (kit.connections.source_of). Out: a slot for each transfer, or 429. Secrets
of transfers cannot be guessed; the bound keeps a guesser from costing queries.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from umbel.kit.errors import Exhausted, TooSoon
from umbel.kit.token_buckets import TokenBuckets

MOST = 2_000
MOST_PER_ADDRESS = 64
MOST_UNKNOWN_PER_MINUTE = 60


class TransfersBusy(Exhausted):
    """Too many transfers are open, in all or from this address; try again."""

    code = "umbel.transfers_busy"
    http_status = 429


class TooManyUnknown(TooSoon):
    """This address asked for many transfers that are not there: wait, then try again."""

    code = "umbel.too_many_unknown"


class TransferLimits:
    """One for each app."""

    def __init__(self) -> None:
        self._open: Counter[str] = Counter()
        self._unknown = TokenBuckets(MOST_UNKNOWN_PER_MINUTE, 60.0)

    def unknown(self, source: str, now_s: float) -> None:
        """It asked for one that is not there."""
        self._unknown.take(source, now_s)

    @contextmanager
    def slot(self, source: str, now_s: float) -> Iterator[None]:
        """One of the address's transfers, until the end of the block. Raises TransfersBusy or
        TooManyUnknown where it may not begin another one."""
        if self._open.total() >= MOST or self._open[source] >= MOST_PER_ADDRESS:
            raise TransfersBusy
        wait_s = self._unknown.wait_s(source, now_s)
        if wait_s > 0:
            raise TooManyUnknown(wait_s)
        self._open[source] += 1
        try:
            yield
        finally:
            self._open[source] -= 1
            self._open = +self._open
