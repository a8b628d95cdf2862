"""Servers that the contract tests share."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from support.s3_servers import S3Server, running


@pytest.fixture(scope="module")
def s3_servers(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[[str], S3Server]]:
    """Servers by kind, each started when it is first needed."""
    started: dict[str, S3Server] = {}
    with ExitStack() as stack:

        def server(kind: str) -> S3Server:
            if kind not in started:
                folder = tmp_path_factory.mktemp(kind)
                started[kind] = stack.enter_context(running(kind, folder))
            return started[kind]

        yield server
