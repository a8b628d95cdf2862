"""A broadcast on one event loop: `notify` ends the wait of everybody who listened before it.

Listen first, then read the state, then wait: no change between the read and the wait is missed.
"""

import asyncio


class Listener:
    """Hears the first `notify` after it was made."""

    def __init__(self, event: asyncio.Event) -> None:
        self._event = event

    @property
    def notified(self) -> bool:
        """Whether it has heard one."""
        return self._event.is_set()

    async def wait(self, timeout_s: float | None = None) -> bool:
        """Wait for it, at most `timeout_s` seconds; None: without a bound. False: it timed out."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._event.wait()
        except TimeoutError:
            return False
        return True


class Signal:
    """What listeners listen to."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def listen(self) -> Listener:
        """A listener for the next `notify`."""
        return Listener(self._event)

    def notify(self) -> None:
        """Wake every listener so far."""
        self._event.set()
        self._event = asyncio.Event()
