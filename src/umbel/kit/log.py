"""Logging: one line per fact, keys instead of prose; JSON unless a terminal reads it.

A logger never raises: on a full disk or a closed pipe lines are lost and counted, and the work that
logged them goes on.
"""

import logging
import sys
from typing import TextIO, cast

import structlog


class LossyStream:
    """A text stream whose writes may fail: it says how many did when they succeed again."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._failed = 0

    def write(self, text: str) -> int:
        """Write it, or lose it."""
        try:
            if self._failed:
                self._stream.write(f"{self._failed} writes of the log failed before this\n")
                self._stream.flush()
                self._failed = 0
            self._stream.write(text)
        except (OSError, ValueError):
            self._failed += 1
        return len(text)

    def flush(self) -> None:
        """Hand it over, or lose it."""
        try:
            self._stream.flush()
        except (OSError, ValueError):
            self._failed += 1


def configure(*, level: str = "info", json_lines: bool | None = None) -> None:
    """Set up structlog on stderr for this process."""
    as_json = not sys.stderr.isatty() if json_lines is None else json_lines
    # The usual traceback on a terminal shows local variables, and some of ours are secrets.
    console = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer() if as_json else console
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info if as_json else _as_is,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        logger_factory=structlog.WriteLoggerFactory(cast("TextIO", LossyStream(sys.stderr))),
    )


def _as_is(
    _logger: object, _name: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    return event
