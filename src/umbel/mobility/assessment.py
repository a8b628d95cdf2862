"""What an admission looks at, read from compute, the operator's links and earlier migrations."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from umbel.compute.model import Function, Instance, Resources
from umbel.compute.service import Compute
from umbel.mobility import admission
from umbel.mobility.admission import Load, Situation, Verdict
from umbel.mobility.calibration import Calibration, calibrated
from umbel.mobility.model import Migration, MigrationKind
from umbel.mobility.ports import Ways
from umbel.mobility.store import MigrationStore


@dataclass(kw_only=True)
class Assessment:
    """Whether a migration may begin now, and what it will cost."""

    store: MigrationStore
    compute: Compute
    ways: Ways

    async def verdict(
        self, migration: Migration, function: Function, instance: Instance
    ) -> Verdict:
        """The admission's answer. The ledger is read last: nothing is awaited after that."""
        situation = await self._copy(migration, function, instance)
        room = self.compute.ledger.free().get(migration.target, Resources())
        is_ready = self.is_ready(migration.target)
        situation = replace(situation, is_ready=is_ready, room=room)
        return admission.decide(situation, migration.terms)

    def is_ready(self, node: str) -> bool:
        """Whether the node is open, up, and answers."""
        return self.compute.accepts(node) and not self.compute.is_lost(node)

    def calibration(
        self, history: Iterable[Migration], function: str, kind: MigrationKind, source: str
    ) -> Calibration:
        """What earlier migrations, the newest first, teach about a copy from that node."""
        return calibrated(history, function, kind, is_live=self.compute.moving.is_live(source))

    async def _copy(
        self, migration: Migration, function: Function, instance: Instance
    ) -> Situation:
        """All but the target's room."""
        needs = function.description.resources
        found = Situation(target=migration.target, is_ready=False, room=Resources(), needs=needs)
        if migration.kind is MigrationKind.REPLACEMENT:
            return found
        known = self.calibration(
            await self.store.all(), instance.id, migration.kind, migration.source
        )
        load = Load(
            memory_mb=instance.rss_mb or needs.memory_mb,
            disk_mb=known.disk_mb or 0.0,
            dirty_mbps=migration.terms.dirty_mbps or known.dirty_mbps or 0.0,
            is_live=self.compute.moving.is_live(migration.source),
        )
        free_mbps = await self.ways.free_mbps(migration.source, migration.target)
        return replace(found, load=load, free_mbps=free_mbps, calibration=known)
