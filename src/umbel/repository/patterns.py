"""Regular expressions of strangers over metadata, in a time that grows with the text alone.

In: a pattern for each key. Out: whether metadata match. RE2 matches by automata: no pattern makes
it try again and again, as backtracking engines do (docs/decisions/0160-patterns-by-re2.md).
"""

from collections.abc import Mapping
from typing import Any

from umbel.repository.model import LONGEST_KEY, MOST_METADATA, BadPattern

LONGEST_PATTERN = 512
_MOST_MEMORY = 1 << 20


class Patterns:
    """Compiled patterns, by key. Raises BadPattern."""

    def __init__(self, patterns: Mapping[str, str]) -> None:
        if len(patterns) > MOST_METADATA:
            raise BadPattern(f"A search has {MOST_METADATA} patterns at most, not {len(patterns)}")
        self._compiled = {key: _compile(key, text) for key, text in patterns.items()}

    @property
    def keys(self) -> tuple[str, ...]:
        """What must be there to match."""
        return tuple(self._compiled)

    def match(self, metadata: Mapping[str, str]) -> bool:
        """Whether each pattern is found anywhere in the value of its key."""
        return all(
            key in metadata and compiled.search(metadata[key]) is not None
            for key, compiled in self._compiled.items()
        )


def _compile(key: str, text: str) -> Any:
    if len(key) > LONGEST_KEY or len(text) > LONGEST_PATTERN:
        raise BadPattern(
            f"A pattern has {LONGEST_PATTERN} characters at most, its key {LONGEST_KEY}", key=key
        )
    # RE2 loads slowly, and few requests search.
    import re2  # noqa: PLC0415

    options = re2.Options()
    options.max_mem = _MOST_MEMORY
    options.log_errors = False
    try:
        return re2.compile(text, options=options)
    except (re2.error, UnicodeError) as error:
        raise BadPattern(f"The pattern for {key} cannot be used: {error}", key=key) from error
