"""Make before break: another function starts at the target, the viewers follow, the old one goes.

In: migrations of functions whose VIM cannot copy them. Out: calls of their owner, which starts and
stops functions by itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from umbel.compute.model import Function
from umbel.compute.service import Compute
from umbel.kit.errors import Exhausted
from umbel.mobility.model import Json, Migration
from umbel.mobility.ports import Replaces, StepFailed


@dataclass(kw_only=True)
class ReplacementMover:
    """Has functions replaced by their owners, by owner."""

    compute: Compute
    owners: Mapping[str, Replaces]
    _viewers: dict[str, int] = field(default_factory=dict)

    def refusal(self, owner: str, function: Function, target: str) -> str:
        replaces = self.owners.get(owner)
        if replaces is None:
            return f"{owner} does not replace functions"
        return replaces.refusal(function, target)

    async def prepare(self, migration: Migration) -> bool:
        try:
            return await self.owners[migration.owner].begin(migration.function, migration.target)
        except Exhausted as error:
            raise StepFailed(error.message) from error

    async def copy(self, migration: Migration) -> bool:
        is_ready = await self.prepare(migration)  # it may have a stream more by now
        left = await self.owners[migration.owner].viewers(migration.function)
        self._viewers[migration.id] = left
        return is_ready and left == 0

    async def commit(self, migration: Migration) -> bool:
        self._viewers.pop(migration.id, None)
        await self.owners[migration.owner].end(migration.function)
        return migration.function not in await self.compute.running()

    async def undo(self, migration: Migration) -> bool:
        self._viewers.pop(migration.id, None)
        await self.owners[migration.owner].undo(migration.function)
        return True

    def progress(self, migration: Migration) -> Json:
        left = self._viewers.get(migration.id)
        return migration.progress if left is None else {"viewers": left}
