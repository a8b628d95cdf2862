"""A mail server in memory, for scenarios and tests.

What it took is in `taken`, in order; `refuse` and `fail` script what it does not take.
"""

from umbel.notify.model import Letter
from umbel.notify.ports import MailRefused, MailUnavailable


class FakeMailer:
    """Takes every letter unless told otherwise."""

    def __init__(self) -> None:
        self.taken: list[Letter] = []
        self._refused: set[str] = set()
        self._fails = False

    def refuse(self, address: str) -> None:
        """Have no such address."""
        self._refused.add(address)

    def fail(self, *, fails: bool = True) -> None:
        """Do not answer, or answer again."""
        self._fails = fails

    async def send(self, letter: Letter) -> None:
        if self._fails:
            raise MailUnavailable
        if letter.to in self._refused:
            raise MailRefused
        self.taken.append(letter)

    async def close(self) -> None: ...
