"""Sends messages of the outbox, several at a time, and notes what became of each.

In: messages that are claimed for this instance. Out: letters and pushes through the channels'
carriers. What a carrier did not take is tried again, later and later, until the message expires.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from umbel.catalogue.choices.model import Channel
from umbel.catalogue.outbox.model import Message, MessageState, Outcome
from umbel.catalogue.outbox.service import Outbox
from umbel.kit import backoff
from umbel.kit.clock import Clock
from umbel.kit.errors import Invalid, NotFound, Unavailable

log = structlog.get_logger(__name__)

_AT_ONCE = 200
_FIRST_RETRY_S = 10.0
_LONGEST_RETRY_S = 300.0
_MOST_RETRY_AFTER_S = 3_600.0


class Carrier(Protocol):
    """Takes messages of one channel."""

    async def send(self, message: Message) -> None:
        """Hand it over, once. Raises Unavailable where it is worth another try, after
        `retry_after_s` where that is given; Invalid or NotFound where it is not."""


@dataclass(kw_only=True)
class Sending:
    """`me` is this instance; each channel has a carrier and how many messages it takes at once.
    Every `every_s` seconds it looks for what others left."""

    outbox: Outbox
    clock: Clock
    me: str
    carriers: Mapping[Channel, tuple[Carrier, int]]
    every_s: float = 10.0
    _unsettled: dict[str, Outcome] = field(default_factory=dict)

    @property
    def channels(self) -> Sequence[str]:
        """The names of the channels that have a carrier."""
        return [channel.value for channel in self.carriers]

    async def send(self, name: str) -> float:
        """Send what is due by this channel; the seconds until it is time to look again."""
        await self._settle()  # what a database that was away did not take
        carrier, most = self.carriers[Channel(name)]
        claimed = await self.outbox.claim(self.me, Channel(name), most=_AT_ONCE)
        slots = asyncio.Semaphore(most)

        async def send(message: Message) -> None:
            outcome = self._retried(message, 0.0)
            try:
                async with slots:
                    outcome = await self._outcome(carrier, message)
            finally:
                self._unsettled[message.id] = outcome

        try:
            await asyncio.gather(*(send(one) for one in claimed), return_exceptions=True)
        finally:
            await self._settle()
        return 0.0 if len(claimed) == _AT_ONCE else self.every_s

    async def _outcome(self, carrier: Carrier, message: Message) -> Outcome:
        try:
            await carrier.send(message)
        except Unavailable as error:
            log.warning("message not taken", message=message.id, code=error.code)
            return self._retried(message, float(error.retry_after_s or 0))
        except (Invalid, NotFound) as error:
            log.info("message dropped", message=message.id, code=error.code)
            return Outcome(state=MessageState.DROPPED)
        except Exception:
            log.exception("message not sent", message=message.id)
            return self._retried(message, 0.0)
        return Outcome(state=MessageState.SENT)

    def _retried(self, message: Message, after_s: float) -> Outcome:
        failures = message.failures + 1
        wait_s = backoff.wait_s(
            failures,
            backoff.draw(message.id, failures),
            first_s=_FIRST_RETRY_S,
            longest_s=_LONGEST_RETRY_S,
        )
        wait_s = max(wait_s, min(after_s, _MOST_RETRY_AFTER_S))
        return Outcome(state=MessageState.WAITING, retry_s=self.clock.now_s() + wait_s)

    async def _settle(self) -> None:
        outcomes, self._unsettled = self._unsettled, {}
        if not outcomes:
            return
        try:
            await self.outbox.settle(self.me, outcomes)
        except BaseException:
            self._unsettled |= outcomes
            raise
