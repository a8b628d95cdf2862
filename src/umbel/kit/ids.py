"""Names for new things: a readable prefix and 60 random bits, safe in URLs and file names."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from random import Random

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_BITS = 60
_random: ContextVar[Random | None] = ContextVar("random", default=None)


def new_id(prefix: str) -> str:
    """A fresh identifier such as `ev_5x0k3b9q2m7t`."""
    random = _random.get()
    bits = secrets.randbits(_BITS) if random is None else random.getrandbits(_BITS)
    letters = (_ALPHABET[bits >> shift & 31] for shift in range(0, _BITS, 5))
    return f"{prefix}_{''.join(letters)}"


@contextmanager
def drawn_from(random: Random) -> Iterator[None]:
    """Within the block, and in tasks started there, identifiers come from this generator, so that
    a simulated run can be repeated. They can be guessed then."""
    token = _random.set(random)
    try:
        yield
    finally:
        _random.reset(token)
