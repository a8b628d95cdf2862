"""What an admission looks at, read from compute, the operator's links and earlier migrations."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from umbel.compute.model import Function, Instance, NoSuchNode, Resources
from umbel.compute.service import Compute
from umbel.kit.clock import Clock
from umbel.mobility import admission
from umbel.mobility.admission import Load, Situation, Verdict
from umbel.mobility.calibration import Calibration, calibrated
from umbel.mobility.model import Migration, MigrationKind
from umbel.mobility.ports import Ways
from umbel.mobility.rule_store import MigrationRules
from umbel.mobility.rules import MigrationRule, ProposedMove, refusals
from umbel.mobility.store import MigrationStore


@dataclass(kw_only=True)
class Assessment:
    """Whether a migration may begin now, and what it will cost."""

    store: MigrationStore
    rules: MigrationRules
    compute: Compute
    ways: Ways
    clock: Clock

    async def verdict(
        self, migration: Migration, function: Function, instance: Instance
    ) -> Verdict:
        """The admission's answer. The ledger is read last: nothing is awaited after that."""
        refused = self.refusals(
            await self.rules.all(),
            migration.function,
            (migration.source, migration.target),
            migration.kind,
            migration.requested_by,
        )
        situation = await self._copy(migration, function, instance)
        room = self.compute.ledger.free().get(migration.target, Resources())
        is_ready = self.is_ready(migration.target)
        situation = replace(situation, is_ready=is_ready, room=room)
        verdict = admission.decide(situation, migration.terms)
        return replace(verdict, reasons=(*refused, *verdict.reasons))

    def refusals(
        self,
        rules: Iterable[MigrationRule],
        function: str,
        way: tuple[str, str],
        kind: MigrationKind,
        user: str,
    ) -> tuple[str, ...]:
        """Why operators' rules do not let the function go that way, from a node to another one,
        now."""
        source, target = map(self._names, way)
        move = ProposedMove(function=function, source=source, target=target, kind=kind, user=user)
        return refusals(rules, move, self.clock.now_s())

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

    def _names(self, node: str) -> list[str]:
        """What rules call the node by."""
        try:
            return [node, f"pool:{self.compute.node(node).pool}"]
        except NoSuchNode:
            return [node]
