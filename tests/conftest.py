"""Fixtures every layer of tests shares: databases."""

import asyncio
import gc
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import hypothesis
import pytest

from support import (
    databases,
    examples,
    kube_api,
    leftovers,
    libvirtd,
    openstack_cloud,
    postgres,
    testbed,
)
from support.budget import Budget
from support.kinds import Kinds
from support.kube_worlds import KubeGround, kube_ground
from support.libvirt_worlds import Ground, ground
from support.openstack_worlds import OpenStackGround, openstack_ground
from support.testbed import Testbed
from umbel.kit.db import Database

hypothesis.settings.load_profile(examples.ALL)

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


@pytest.fixture(scope="session")
def two_hypervisors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """Hypervisors for the whole run, of the nodes pe1 and pe2. Who starts guests there removes
    them."""
    if libvirtd.ABSENT:
        pytest.skip(libvirtd.ABSENT)
    with ground(tmp_path_factory.mktemp("hypervisors")) as up:
        yield up


@pytest.fixture(scope="session")
def two_kubelets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KubeGround]:
    """A Kubernetes cluster for the whole run, with the machines pe1 and pe2. Who starts pods there
    removes them."""
    if kube_api.ABSENT:
        pytest.skip(kube_api.ABSENT)
    with kube_ground(tmp_path_factory.mktemp("kubernetes")) as up:
        yield up


@pytest.fixture(scope="session")
def two_computes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenStackGround]:
    """An OpenStack cloud for the whole run, with the hypervisors pe1 and pe2. Who starts servers
    there removes them."""
    if openstack_cloud.ABSENT:
        pytest.skip(openstack_cloud.ABSENT)
    with openstack_ground(tmp_path_factory.mktemp("openstack")) as up:
        yield up


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'umbel.db'}"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """The URL of a database of each kind: empty, or with the newest schema for `database`."""
    if request.param == "sqlite":
        url: str = request.getfixturevalue("sqlite_url")
        return url
    running: postgres.Cluster = request.getfixturevalue("postgresql")
    has_schema = "database" in request.fixturenames
    return databases.prepared(running) if has_schema else running.fresh()


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """A database of each kind with the newest schema."""
    opened = Database(database_url, durable=False)
    try:
        if opened.is_sqlite:
            await databases.prepare(opened)
        yield opened
    finally:
        await opened.close()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--budget", type=float, help="seconds that the run may take, for its end")


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        if budget_s := config.getoption("budget"):
            config.pluginmanager.register(Budget(budget_s, config.getoption("numprocesses") or 1))
        for left in leftovers.sweep():
            print(f"removed what a killed test run left: {left}")
    config.pluginmanager.register(Kinds(config), "kinds")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Tests of clouds are named, and run where they are asked for."""
    if "clouds" in config.getoption("markexpr"):
        return
    for item in items:
        if item.get_closest_marker("clouds"):
            item.add_marker(pytest.mark.skip(reason="a test of clouds: make test-clouds"))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """What is imported stays: nothing there is garbage, and each search would cost CPU."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
