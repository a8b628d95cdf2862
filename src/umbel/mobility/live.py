"""Live migration: the VIM copies a running function, its owner then wants it at the target.

In: migrations of functions whose VIM can do that. Out: calls of compute and of the owner. A copy is
a task here; after a restart of the control plane it begins again, or the VIM joins it.
"""

import asyncio
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from umbel.compute.model import (
    Function,
    FunctionState,
    Instance,
    MoveKind,
    MoveResult,
    NoSuchNode,
)
from umbel.compute.service import Compute
from umbel.kit.errors import UmbelError
from umbel.mobility.model import Json, Migration
from umbel.mobility.ports import FunctionOwner, GuestPaths, StepFailed


@dataclass(kw_only=True)
class LiveMover:
    """Moves functions with all their state; the network's way goes first (`paths`). `close` ends
    the copies that run."""

    compute: Compute
    owners: Mapping[str, FunctionOwner]
    paths: GuestPaths | None = None
    _copies: dict[str, asyncio.Task[MoveResult]] = field(default_factory=dict)
    _results: dict[str, MoveResult] = field(default_factory=dict)

    def refusal(self, owner: str, function: Function, target: str) -> str:
        if owner not in self.owners:
            return f"{owner} does not let its functions be moved"
        if self.compute.moving.is_possible(function.node, target):
            return ""
        return f"no VIM moves running functions from {function.node} to {target}"

    async def prepare(self, migration: Migration) -> bool:
        """The way to the target is there; the VIM makes what a copy needs by itself."""
        seen = await self._seen(migration)
        _check_runs(migration, seen)
        await self._lead_to_both(migration, seen)
        return True

    async def copy(self, migration: Migration) -> bool:
        seen = await self._seen(migration)
        serves = _serves_at_target(migration, seen)
        copy = self._copies.get(migration.id)
        if copy is not None and copy.done():
            del self._copies[migration.id]
            try:
                self._results[migration.id] = await _result_of(copy)
            except StepFailed:
                if not serves:
                    raise
            return serves  # else the next look sees where it runs
        if serves:
            return copy is None  # its result comes now
        if copy is None or seen is None or seen.state is FunctionState.FAILED:
            _check_runs(migration, seen)
        if copy is None and not self.compute.is_lost(migration.source):
            await self._lead_to_both(migration, seen)  # a control plane that died had it so
            self._copies[migration.id] = self._begun(await self._function(migration), migration)
        return False

    async def commit(self, migration: Migration) -> bool:
        self._forget(migration)
        await self.owners[migration.owner].relocate(migration.function, migration.target)
        await self._settle(migration, migration.target)
        seen = await self._seen(migration)
        if self.paths is not None and seen is not None:
            await self.paths.commit(seen.address, migration.source, migration.target)
        return True

    async def undo(self, migration: Migration) -> bool:
        copy = self._copies.get(migration.id)
        if copy is not None:
            copy.cancel()
            await asyncio.gather(copy, return_exceptions=True)
        await self._settle(migration, migration.source)
        self._forget(migration)
        seen = await self._seen(migration)
        if _serves_at_target(migration, seen):
            return False
        if self.paths is not None and seen is not None:
            await self.paths.abort(seen.address, migration.source, migration.target)
        return True

    def progress(self, migration: Migration) -> Json:
        if (result := self._results.get(migration.id)) is not None:
            return {**migration.progress, **_rounded(result, ("copied_mb", "disk_mb", "gap_s"))}
        found = self.compute.moving.progress(migration.function)
        if found is None:
            return migration.progress
        return _rounded(found, ("copied_mb", "total_mb", "mbps", "dirty_mbps"))

    async def close(self) -> None:
        """End every copy that this instance makes; what runs stays where it is."""
        copies = [*self._copies.values()]
        self._copies.clear()
        for copy in copies:
            copy.cancel()
        await asyncio.gather(*copies, return_exceptions=True)

    def _forget(self, migration: Migration) -> None:
        self._copies.pop(migration.id, None)
        self._results.pop(migration.id, None)

    async def _lead_to_both(self, migration: Migration, seen: Instance | None) -> None:
        """Raises StepFailed where there is no way to the target."""
        if self.paths is None or seen is None:
            return
        try:
            await self.paths.prepare(seen.address, migration.source, migration.target)
        except UmbelError as error:
            raise StepFailed(f"no way leads to {migration.target}: {error.message}") from error

    async def _settle(self, migration: Migration, node: str) -> None:
        """Leave nothing of the copy, also where a control plane that died made it."""
        with suppress(NoSuchNode):
            await self.compute.moving.settle(migration.function, node)

    def _begun(self, function: Function, migration: Migration) -> asyncio.Task[MoveResult]:
        how = MoveKind(migration.kind.value)
        moving = self.compute.moving.move(migration.owner, function, migration.target, how)
        return asyncio.create_task(moving, name=f"copy {migration.id}")

    async def _function(self, migration: Migration) -> Function:
        wanted = (await self.owners[migration.owner].wanted()).get(migration.function)
        if wanted is None:
            raise StepFailed(f"{migration.owner} does not want {migration.function} any more")
        return wanted

    async def _seen(self, migration: Migration) -> Instance | None:
        return (await self.compute.running()).get(migration.function)


async def _result_of(copy: asyncio.Task[MoveResult]) -> MoveResult:
    try:
        return await copy
    except UmbelError as error:
        raise StepFailed(error.message) from error


def _rounded(found: object, names: Iterable[str]) -> Json:
    """What is known of these figures."""
    known = {name: getattr(found, name) for name in names}
    return {name: round(value, 3) for name, value in known.items() if value is not None}


def _serves_at_target(migration: Migration, seen: Instance | None) -> bool:
    return seen is not None and seen.node == migration.target and seen.state is FunctionState.ACTIVE


def _check_runs(migration: Migration, seen: Instance | None) -> None:
    if seen is None:
        raise StepFailed(f"{migration.function} was stopped")
    if seen.state is not FunctionState.ACTIVE:
        why = f": {seen.reason}" if seen.reason else ""
        raise StepFailed(f"{migration.function} does not run{why}")
    if seen.node != migration.source:
        raise StepFailed(f"{migration.function} runs on {seen.node} by now")
