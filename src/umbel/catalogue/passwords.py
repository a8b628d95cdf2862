"""Password hashes (argon2id), made and checked in threads, a few at once.

In: passwords. Out: hashes, and whether one fits. A hash costs memory and milliseconds on purpose:
the loop never pays them, and a flood of sign-ins is refused instead of queueing without end. Each
source has one place in the queue, so that who sends many waits for itself.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext
from typing import TypeVar
from weakref import WeakValueDictionary

from pwdlib import PasswordHash
from pwdlib.exceptions import PwdlibError
from pwdlib.hashers.argon2 import Argon2Hasher

from umbel.catalogue.model import TooManySignIns

T = TypeVar("T")

# OWASP's smallest recommendation for argon2id: 19 MiB, two passes.
_MEMORY_KIB = 19_456
_PASSES = 2


class Passwords:
    """Hashes and verifies; at most `at_once` in work and `waiting` behind them."""

    def __init__(self, *, at_once: int = 2, waiting: int = 62) -> None:
        self._hasher = PasswordHash(
            (Argon2Hasher(time_cost=_PASSES, memory_cost=_MEMORY_KIB, parallelism=1),)
        )
        self._places = asyncio.Semaphore(at_once)
        self._room = at_once + waiting
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def hash(self, password: str) -> str:
        """A new hash with a salt of its own. Raises TooManySignIns."""
        return await self._work(lambda: self._hasher.hash(password))

    async def verify(self, password: str, password_hash: str | None, source: str = "") -> bool:
        """Whether the password from `source` fits. Without a hash (no user has that name) it takes
        as long and says no. Raises TooManySignIns."""
        return await self._work(lambda: self._fits(password, password_hash), source)

    def _fits(self, password: str, password_hash: str | None) -> bool:
        if password_hash is None:
            self._hasher.hash(password)  # it takes as long
            return False
        try:
            return self._hasher.verify(password, password_hash)
        except PwdlibError:
            return False

    async def _work(self, call: Callable[[], T], source: str = "") -> T:
        async with self._place(source):
            return await asyncio.to_thread(call)

    @asynccontextmanager
    async def _place(self, source: str) -> AsyncIterator[None]:
        turn = self._turns.setdefault(source, asyncio.Lock()) if source else nullcontext()
        async with turn:
            if self._room == 0:
                raise TooManySignIns
            self._room -= 1
            try:
                async with self._places:
                    yield
            finally:
                self._room += 1
