"""What outlives every control plane of a fault run: nodes, media servers, network and tables.

In: what befalls them. Out: a Snapshot of what there is. With platform.py this is the only module
of the fault run that knows the product's names.
"""

import json
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from random import Random
from typing import Any

from support.chaos.channels import Impairment
from support.chaos.servers import Servers
from support.chaos.snapshot import Branch, Carried, Held, Process, Room, Session, Snapshot
from umbel import migrations
from umbel.bootstrap.drivers import read_network
from umbel.bootstrap.secrets import Secrets, load_secrets
from umbel.catalogue.passwords import Passwords
from umbel.compute.drivers.fake import FakeVim
from umbel.compute.model import Function, FunctionState, Instance, Inventory, Node
from umbel.delivery.trees.view import Costs
from umbel.kit.clock import LoopClock
from umbel.kit.errors import NotFound
from umbel.kit.inline import InlineDatabase, Tables
from umbel.media.drivers.fake import FakeMedia
from umbel.media.model import Server, StreamState
from umbel.network.documents import Grade, Terms
from umbel.network.drivers.fake.fabric import FakeFabric
from umbel.network.model import Topology

ACCESS, CORES = ("pe1", "pe2", "pe3"), ("c1", "c2")
LINKS = (("pe1", "c1"), ("pe2", "c1"), ("c1", "c2"), ("c2", "pe3"), ("c2", "pe2"))
PARTS = ("database", "media", "vim", "fabric")
SOURCE_MBPS = 2.0
COSTS = Costs()
FUNCTIONS = {
    role: Room(cores=COSTS.cores_of(role), memory_mb=COSTS.mb_of(role), mbps=0.0)
    for role in ("acquirer", "forwarder", "transcoder", "edge")
}
_BOOT_S = 0.5
LEASE = "stream:"
_SESSION = "id, stream, function, edge_node"


# -- the world ------------------------------------------------------------------------------


class Nodes:
    """A VIM over one fake VIM a node, so that a function may run twice if it is started so."""

    def __init__(self, names: Sequence[str], clock: LoopClock, media: FakeMedia) -> None:
        self._vims = {name: FakeVim(clock, boot_s=_BOOT_S) for name in names}
        self._media = media
        self._listeners: list[Callable[[str], None]] = []
        for vim in self._vims.values():
            vim.watch(self._changed)

    async def start(self, owner: str, function: Function, node: Node) -> None:
        await self._vims[node.name].start(owner, function, node)

    async def stop(self, function_id: str) -> None:
        for vim in self._vims.values():
            await vim.stop(function_id)
        self._media.lose(function_id)

    async def running(self) -> dict[str, Instance]:
        return {i.id: i for i in await self.instances()}

    def watch(self, on_change: Callable[[str], None]) -> None:
        self._listeners.append(on_change)

    async def close(self) -> None: ...

    async def instances(self) -> list[Instance]:
        """Every process, also where two have one name."""
        return [i for vim in self._vims.values() for i in (await vim.running()).values()]

    def active(self, function: str) -> Instance | None:
        """The function's process that is up, if any is."""
        for vim in self._vims.values():
            machine = vim._machines.get(function)
            if machine is not None and machine.instance.state is FunctionState.ACTIVE:
                return machine.instance
        return None

    def of(self, function: str) -> set[str]:
        """The nodes where the function has a process."""
        return {name for name, vim in self._vims.items() if function in vim._machines}

    async def kill(self, function: str) -> None:
        """As by kill -9, wherever it runs."""
        for vim in self._vims.values():
            if function in await vim.running():
                vim.kill(function)
        self._media.lose(function)

    async def lose(self, node: str) -> None:
        """The node is gone with all that runs there."""
        here = await self._vims[node].running()
        self._vims[node].lose_node(node)
        for function in here:
            self._media.lose(function)

    def accept(self, node: str) -> None:
        """The node is back, empty."""
        self._vims[node].accept(node)

    def load(self, function: str, *, viewers: int) -> None:
        """What the function is measured to use: as much as delivery promises for it."""
        for vim in self._vims.values():
            machine = vim._machines.get(function)
            if machine is not None and machine.instance.state is FunctionState.ACTIVE:
                takes = FUNCTIONS[machine.instance.description]
                cores = takes.cores + viewers * COSTS.viewer_cores
                vim.set_load(function, cpu_cores=cores, rss_mb=takes.memory_mb)

    def _changed(self, function: str) -> None:
        self.load(function, viewers=0)
        for notify in self._listeners:
            notify(function)


@dataclass(kw_only=True)
class World:
    """Nodes, media and the database, which outlive every control plane."""

    seed: int
    policy: str = "sls"
    copies: bool = False
    planes: dict[str, Any] = field(default_factory=dict)
    cuts: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By slot of a control plane and node: how many partitions are between them."""
    impairments: dict[tuple[str, str], Impairment] = field(default_factory=dict)
    held: dict[str, Held] = field(default_factory=dict)
    publishing: set[str] = field(default_factory=set)
    over: set[str] = field(default_factory=set)
    ends_s: dict[str, float] = field(default_factory=dict)
    pushed: set[str] = field(default_factory=set)
    waiting: set[str] = field(default_factory=set)
    note: Callable[[str], None] = lambda _: None
    record: Callable[[str], None] = lambda _: None
    violations: list[str] = field(default_factory=list)
    crashes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.clock = LoopClock()
        self.media = FakeMedia()
        self.nodes = Nodes([*ACCESS, *CORES], self.clock, self.media)
        self.servers = Servers(self.media)
        self.fabric = FakeFabric(base().links, copies=self.copies)
        self.tables = Tables()
        self.tables.raw.deserialize(base().schema)
        self.nodes.watch(self._function_changed)
        self.media.watch(self._stream_changed)

    def random(self, name: str) -> Random:
        """A generator of its own for each purpose, so that one more draw here changes nothing
        there."""
        return Random(f"{self.seed}/{name}")

    # what befalls functions and nodes

    async def functions(self, role: str) -> list[str]:
        """Those of a role that are up, by name."""
        up = [i for i in await self.nodes.instances() if i.state is FunctionState.ACTIVE]
        return sorted(i.id for i in up if i.description == role)

    async def kill(self, function: str) -> None:
        self.servers.hung.discard(function)
        await self.nodes.kill(function)

    def hang(self, function: str) -> None:
        """Its control channel says nothing more; what flows through it goes on."""
        self.servers.hung.add(function)
        self._stream_changed(function, "")

    def wake(self, function: str) -> None:
        self.servers.hung.discard(function)
        self._stream_changed(function, "")

    # what people do at functions

    def publish(self, function: str, event: str) -> bool:
        """An encoder pushes; answers whether somebody took it."""
        try:
            self.media.publish(function, event, mbps=SOURCE_MBPS)
        except NotFound:
            return False
        return True

    def silence(self, function: str, event: str) -> None:
        """The encoder stops."""
        try:
            self.media.stop_publishing(function, event)
        except NotFound:
            return

    async def stream(self, function: str, stream: str) -> StreamState | None:
        """What a function really does with a stream."""
        return (await self._states(function)).get(stream)

    async def connect(self, held: Held, *, stays: bool = True) -> bool:
        """A player connects or goes; answers whether its edge carries the stream."""
        states = await self._states(held.function)
        if held.stream not in states:
            return False
        others = [v for v in states[held.stream].viewers if v != held.id]
        here = [*others, held.id] if stays else others
        self.media.set_viewers(held.function, held.stream, here)
        count = sum(len(s.viewers) for s in states.values())
        self.nodes.load(held.function, viewers=count - len(states[held.stream].viewers) + len(here))
        return True

    async def _states(self, function: str) -> dict[str, StreamState]:
        instance = self.nodes.active(function)
        return {} if instance is None else await self._observe(instance)

    # what there is

    def owner_of(self, lease: str) -> str:
        """Who has the lease by the database, for half a second at least."""
        soon_s = self.clock.now_s() + 0.5
        query = "SELECT owner FROM leases WHERE name = ? AND until_s > ?"
        row = self.tables.raw.execute(query, (lease, soon_s)).fetchone()
        return row[0] if row is not None else ""

    def is_over(self, stream: str) -> bool:
        query = "SELECT 1 FROM events WHERE id = ? AND state IN ('ended', 'cancelled')"
        row = self.tables.raw.execute(query, (stream.partition("-")[0],)).fetchone()
        return row is not None

    async def snapshot(self) -> Snapshot:
        """Everything."""
        instances = await self.nodes.instances()
        alive = [i for i in instances if i.state in (FunctionState.BOOTING, FunctionState.ACTIVE)]
        trees = {name: _branches(text) for name, text in self._rows("stream, branches", "trees")}
        return Snapshot(
            now_s=self.clock.monotonic_s(),
            owners=self._owners(),
            processes=tuple(_process(i) for i in instances),
            trees=trees,
            sessions={row[0]: _session(row) for row in self._rows(_SESSION, "sessions")},
            events=dict(self._rows("id, state", "events")),
            carried={i.id: _carried(i, await self._observe(i)) for i in alive},
            wired=frozenset(name for name, hops in self.fabric.streams.items() if hops),
            rooms=base().rooms,
            standby=self._standby(),
            held=dict(self.held),
            publishing=frozenset(self.publishing),
            over=frozenset(self.over),
            ends_s=dict(self.ends_s),
            pushed=frozenset(self.pushed),
            waiting=tuple(sorted(self.waiting)),
            costs=FUNCTIONS,
            viewer_cores=COSTS.viewer_cores,
            mbps={stream: _mbps_of(stream) for stream in trees},
            violations=tuple(self.violations),
            crashes=tuple(self.crashes),
        )

    def _rows(self, columns: str, table: str) -> list[Any]:
        """What is stored, asked of the database and not of the product's queries."""
        return self.tables.raw.execute(f"SELECT {columns} FROM {table}").fetchall()

    def _owners(self) -> dict[str, tuple[str, ...]]:
        owners: dict[str, tuple[str, ...]] = {}
        for plane in self.planes.values():
            for lease in plane.leases():
                owners[lease] = (*owners.get(lease, ()), plane.name)
        return owners

    def _standby(self) -> frozenset[str]:
        leaders = [p for p in self.planes.values() if p.leads()]
        return leaders[0].standby() if len(leaders) == 1 else frozenset()

    async def _observe(self, instance: Instance) -> dict[str, StreamState]:
        server = Server(
            function_id=instance.id, address=instance.address, control_port=1, secret=""
        )
        return await self.media.observe(server)

    def _function_changed(self, function: str) -> None:
        self.servers.hung.discard(function)
        for plane in self.planes.values():
            plane.function_notifications.notify(function)

    def _stream_changed(self, function: str, stream: str) -> None:
        for plane in self.planes.values():
            plane.stream_notifications.notify(function, stream)


# -- values ---------------------------------------------------------------------------------


@dataclass(kw_only=True)
class _Base:
    """What every run begins with, made once a process."""

    document: object
    nodes: Inventory
    links: Topology
    terms: Mapping[Grade, Terms]
    secrets: Secrets
    passwords: Passwords
    schema: bytes

    @cached_property
    def rooms(self) -> dict[str, Room]:
        return {
            n.name: Room(cores=n.cores, memory_mb=n.memory_mb, mbps=n.mbps)
            for n in self.nodes.nodes
        }


@cache
def base() -> _Base:
    document = {
        "default_access": ACCESS[0],
        "nodes": [
            _entry(n, "provider-edge", number, cores=0.5, memory_mb=700, mbps=18)
            for number, n in enumerate(ACCESS, 1)
        ]
        + [
            _entry(n, "core", number, cores=1.0, memory_mb=1000, mbps=100)
            for number, n in enumerate(CORES, 6)
        ],
        "links": [{"a": a, "b": b, "mbps": 1000, "delay_ms": 2} for a, b in LINKS],
    }
    nodes, links, terms = read_network(document)
    with tempfile.TemporaryDirectory() as folder:
        secrets = load_secrets(Path(folder))
    return _Base(
        document=document,
        nodes=nodes,
        links=links,
        terms=terms,
        secrets=secrets,
        passwords=Passwords(),
        schema=_schema(),
    )


def _schema() -> bytes:
    """An empty database of the newest schema."""
    empty = InlineDatabase()
    step = migrations.upgrade(empty)
    try:
        step.send(None)  # it never waits
    except StopIteration:
        return empty.tables.raw.serialize()
    raise AssertionError("an inline unit waited")


def _entry(name: str, kind: str, number: int, **room: float) -> dict[str, object]:
    return {"name": name, "kind": kind, "address": f"127.0.{number}.1", **room}


def _mbps_of(stream: str) -> float:
    """What the fake media make of a stream."""
    return SOURCE_MBPS * (0.35 if "-" in stream else 1.0)


def _process(instance: Instance) -> Process:
    return Process(
        function=instance.id,
        node=instance.node,
        role=instance.description,
        is_alive=instance.state in (FunctionState.BOOTING, FunctionState.ACTIVE),
        is_active=instance.state is FunctionState.ACTIVE,
    )


def _branches(text: str) -> tuple[Branch, ...]:
    return tuple(
        Branch(function=b["function"], role=b["role"], node=b["node"], parent=b["parent"])
        for b in json.loads(text)
    )


def _session(row: tuple[str, str, str, str]) -> Session:
    return Session(id=row[0], stream=row[1], function=row[2], node=row[3])


def _carried(instance: Instance, states: Mapping[str, StreamState]) -> dict[str, Carried]:
    return {
        name: Carried(
            role=state.role.value,
            address=instance.address,
            port=state.port,
            targets=frozenset((hop.address, hop.port) for hop in state.hops),
            mbps=state.mbps_in,
            viewers=frozenset(state.viewers),
        )
        for name, state in states.items()
    }
