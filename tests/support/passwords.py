"""Passwords whose hash is made once a process: each test makes people, and a hash takes long on
purpose.

In: the passwords of those people. Out: their hash, as the product makes it. Every other password
has a new hash each time, and every check of a password is the product's own.
"""

from umbel.catalogue.passwords import Passwords

_hashes: dict[str, str] = {}


class SharedHashes(Passwords):
    """The hash of each of `shared` is the same for all tests of the process."""

    def __init__(self, *shared: str) -> None:
        super().__init__()
        self._shared = frozenset(shared)

    async def hash(self, password: str) -> str:
        if password not in self._shared:
            return await super().hash(password)
        if password not in _hashes:
            _hashes[password] = await super().hash(password)
        return _hashes[password]
