"""Work for a process of its own that goes wrong, or takes its time."""

import os
import signal
from collections.abc import Callable

from umbel.kit.errors import Exhausted

Tell = Callable[[object], None]


def doubled(number: int, tell: Tell | None = None) -> int:
    """Prints besides, as libraries do."""
    print("a word that nobody asked for")
    if tell:
        for one in range(number):
            tell(one)
    return 2 * number


def refused() -> None:
    raise Exhausted("no more", left=["a", "b"])


def stuck(_asked: object, _pictures: object, tell: Tell) -> None:
    tell({"stage": "stuck", "pid": os.getpid()})
    signal.pause()


def broken(*_: object) -> None:
    raise SystemError("no solver today")


def killed(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def surrounded() -> dict[str, str]:
    """What it sees of its surroundings."""
    return {"threads": os.environ["OMP_NUM_THREADS"], "nice": str(os.nice(0))}
