"""Fixtures every layer of tests shares: databases."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import hypothesis
import pytest

from support import leftovers, postgres, testbed
from support.kinds import Kinds
from support.testbed import Testbed
from umbel import migrations
from umbel.kit.db import Database

# A busy machine is no reason to fail: what an example costs is measured by the benches.
hypothesis.settings.register_profile(
    "umbel", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("umbel")

# Otherwise the first async test makes pytest-asyncio ask for "the current loop", which makes one
# that nobody closes, and its ResourceWarning fails whichever test the garbage collector picks.
asyncio.set_event_loop(None)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[postgres.Cluster]:
    """A private cluster for the whole run."""
    if postgres.programs() is None:
        pytest.skip(postgres.ABSENT)
    with postgres.cluster() as running:
        yield running


@pytest.fixture(scope="session")
def three_nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Testbed]:
    """A testbed for the whole run: a ring of nodes a, b, c, and hosts ha, hb, hc at them. Who
    makes bridges there removes them."""
    if testbed.ABSENT:
        pytest.skip(testbed.ABSENT)
    document = testbed.ring("a", "b", "c", hosts={"ha": "a", "hb": "b", "hc": "c"})
    with testbed.running(document, tmp_path_factory.mktemp("testbed")) as up:
        yield up


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'umbel.db'}"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """The URL of an empty database of each kind."""
    if request.param == "sqlite":
        url: str = request.getfixturevalue("sqlite_url")
        return url
    running: postgres.Cluster = request.getfixturevalue("postgresql")
    return running.fresh()


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """A database of each kind with the newest schema."""
    opened = Database(database_url, durable=False)
    try:
        await migrations.upgrade(opened)
        yield opened
    finally:
        await opened.close()


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        for left in leftovers.sweep():
            print(f"removed what a killed test run left: {left}")
    config.pluginmanager.register(Kinds(config), "kinds")
