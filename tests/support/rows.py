"""Counts what is read of a database: the product's own connections, each question and row."""

from collections.abc import Callable
from typing import Any

import pytest

from umbel.kit.sql import Connection


class Rows:
    """Counts from now on, until the patch is undone."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.read = self.questions = 0
        for name in ("all", "first", "scalars", "scalar"):
            patch.setattr(Connection, name, self._counting(getattr(Connection, name)))

    def _counting(self, ask: Callable[..., Any]) -> Callable[..., Any]:
        def asked(*args: Any, **values: Any) -> Any:
            got = ask(*args, **values)
            self.questions += 1
            self.read += len(got) if isinstance(got, list) else int(got is not None)
            return got

        return asked

    def reset(self) -> None:
        self.read = self.questions = 0
