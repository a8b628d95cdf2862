"""Storage functions run on the nodes that are named for them, one at each, and stay there.

In: the nodes by shard, what runs. Out: functions of compute under the owner `storage`; for the
repository a storage for each, which finds the function where it runs; a wake-up when a node is
back. A function that dies is started again on its node, where its shard is.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import structlog

from umbel.compute.model import Description, Function, FunctionState, Instance, Node, NoSuchNode
from umbel.compute.service import Compute
from umbel.kit.controller import Controller
from umbel.kit.errors import UmbelError
from umbel.kit.leases import Leases
from umbel.repository.drivers.remote import Location, RemoteStorage
from umbel.repository.model import StorageFailed
from umbel.repository.node_storage.messages import SECRET_VARIABLE
from umbel.storage.model import ShardPlace, StorageStatus

log = structlog.get_logger(__name__)

OWNER = "storage"
"""Who owns these functions in compute, and the lease of who has them run."""

_LOOK_S = 1.0
_IDLE_S = 60.0
"""How often it is ensured that nothing runs where no node is named."""
_FIRST_LOOK_S = 5.0
"""How long a call waits for the first look at what runs."""
_ANSWER_S = 5.0


def _nothing() -> None:
    pass


def _fit(_node: Node) -> str:
    return ""


@dataclass(kw_only=True)
class StorageFunctions:
    """Runs one storage function at the node of each place. `function_id` names a node's,
    `secret_of` opens one, `unfit` says why a node cannot have one: empty where it can."""

    compute: Compute
    leases: Leases
    places: Sequence[ShardPlace]
    description: Description
    limit_bytes: int
    function_id: Callable[[str], str]
    secret_of: Callable[[str], str]
    unfit: Callable[[Node], str] = _fit
    on_return: Callable[[], None] = _nothing
    """Called when a node answers again, or for the first time; bootstrap sets it."""
    storages: Mapping[str, RemoteStorage] = field(init=False)
    """What the repository keeps its shards at, by node."""
    _instances: dict[str, Instance] = field(default_factory=dict, init=False)
    _refused: dict[str, str] = field(default_factory=dict, init=False)
    _answered: dict[str, float] = field(default_factory=dict, init=False)
    _silent: set[str] = field(default_factory=set, init=False)
    _probes: Mapping[str, RemoteStorage] = field(init=False)
    _has_looked: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    _controller: Controller = field(init=False)

    def __post_init__(self) -> None:
        self.storages, self._probes = (
            {
                place.node: RemoteStorage(place.node, place.number, partial(locate, place.node))
                for place in self.places
            }
            for locate in (self.locate, self._locate)
        )
        self._controller = Controller(
            self._reconcile, lease=self.leases.acquire, standby=self._standby
        )
        if self.places:
            self.compute.watch(lambda _: self._controller.wake(OWNER))

    async def run(self) -> None:
        """Have exactly the wanted ones run, until cancelled."""
        try:
            await self._controller.run(OWNER)
        finally:
            for probe in self._probes.values():
                await probe.close()

    async def locate(self, node: str) -> Location:
        """Where the node's function listens. Raises StorageFailed while it does not run, or neither
        its node nor itself answers: nobody waits for a connection there."""
        location = await self._locate(node)
        if node in self._silent:
            raise StorageFailed(f"{node} does not answer", node=node)
        return location

    async def list(self) -> list[StorageStatus]:
        """Every place in the order of the shards, with what its function says now."""
        return list(await asyncio.gather(*map(self._status, self.places)))

    # -- inside -----------------------------------------------------------------------------

    async def _locate(self, node: str) -> Location:
        """Where the node's function was last seen. Raises StorageFailed while it does not run."""
        if not self._has_looked.is_set():
            try:
                async with asyncio.timeout(_FIRST_LOOK_S):
                    await self._has_looked.wait()
            except TimeoutError:
                pass
        instance = self._running_at(node)
        if instance is None:
            raise StorageFailed(f"The storage function of {node} does not run", node=node)
        return Location(
            address=instance.address,
            tls_port=instance.ports["tls"],
            secret=self.secret_of(instance.id),
        )

    async def _reconcile(self, _key: str) -> float:
        wanted = {function.id: function for function in map(self._function, self._fit_places())}
        result = await self.compute.ensure(OWNER, wanted, lambda: self.leases.check(OWNER))
        self._refused = {id_: error.message for id_, error in result.refused.items()}
        await self._look()
        rest_s = _LOOK_S if self.places else _IDLE_S
        return rest_s if result.again_s is None else min(rest_s, result.again_s)

    async def _standby(self, _key: str) -> float:
        self.compute.yield_to_others(OWNER)
        await self._look()
        return _LOOK_S if self.places else _IDLE_S

    async def _look(self) -> None:
        """See where functions are; one that came, or came back, gets its limit."""
        if self.places:
            running = await self.compute.running()
            self._instances = {id_: one for id_, one in running.items() if one.owner == OWNER}
        self._has_looked.set()
        back = await asyncio.gather(*(self._observe(place.node) for place in self.places))
        if any(back):
            self.on_return()

    async def _observe(self, node: str) -> bool:
        """Whether the node's function answers now and did not before. One whose node is lost is
        asked at each look: its VIM may be cut off, and the function not."""
        instance, is_lost = self._running_at(node), self._is_lost(node)
        is_known = instance is not None and self._answered.get(node) == instance.started_s
        if instance is not None and (is_lost or not is_known) and not await self._answers(node):
            instance = None
        self._silent = self._silent - {node} | ({node} if is_lost and instance is None else set())
        before = self._answered.pop(node, None)
        if instance is None:
            if before is not None:
                log.warning("storage function lost", node=node)
            return False
        self._answered[node] = instance.started_s
        if before != instance.started_s:
            log.info("storage function answers", node=node)
        return before != instance.started_s

    async def _answers(self, node: str) -> bool:
        try:
            async with asyncio.timeout(_ANSWER_S):
                await self._probes[node].set_limit(self.limit_bytes)
        except (StorageFailed, TimeoutError) as error:
            log.info("storage function does not answer", node=node, reason=str(error))
            return False
        return True

    def _running_at(self, node: str) -> Instance | None:
        """The node's function where it was last seen to run."""
        instance = self._instances.get(self.function_id(node))
        is_active = instance is not None and instance.state is FunctionState.ACTIVE
        return instance if is_active else None

    def _is_lost(self, node: str) -> bool:
        try:
            return self.compute.is_lost(node)
        except NoSuchNode:
            return True

    def _fit_places(self) -> Sequence[ShardPlace]:
        return [place for place in self.places if not self._unfit(place.node)]

    def _unfit(self, name: str) -> str:
        """Why the node cannot have a function; empty where it can."""
        try:
            return self.unfit(self.compute.node(name))
        except NoSuchNode as error:
            return error.message

    def _function(self, place: ShardPlace) -> Function:
        id_ = self.function_id(place.node)
        return Function(
            id=id_,
            node=place.node,
            description=self.description,
            environment={SECRET_VARIABLE: self.secret_of(id_)},
        )

    async def _status(self, place: ShardPlace) -> StorageStatus:
        id_ = self.function_id(place.node)
        instance = self._instances.get(id_)
        usage, problem = None, self._unfit(place.node) or self._refused.get(id_, "")
        try:
            async with asyncio.timeout(_ANSWER_S):
                usage = await self._probes[place.node].usage()
            if usage.shard not in (None, place.number):
                problem = problem or f"It holds shard {usage.shard}: name the nodes in their order"
        except (UmbelError, TimeoutError) as error:
            reason = instance.reason if instance is not None else ""
            problem = problem or reason or str(error) or "It does not answer in time"
        return StorageStatus(
            place=place,
            function=id_,
            state=FunctionState.ABSENT if instance is None else instance.state,
            address="" if instance is None else instance.address,
            usage=usage,
            problem=problem,
        )
