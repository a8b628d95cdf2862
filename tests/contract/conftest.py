"""Servers and instances that the contract tests share."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack

import pytest

from support.clocks import SetClock
from support.s3_servers import S3Server, running
from umbel.catalogue.service import Catalogue
from umbel.kit.db import Database


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


@pytest.fixture
async def other(database: Database, database_url: str, clock: SetClock) -> AsyncIterator[Catalogue]:
    """A second instance over the same database, which has its schema from the first. `clock` is
    the test module's."""
    second = Database(database_url)
    try:
        yield Catalogue(second, clock)
    finally:
        await second.close()
