"""Mobility's only door: ask for migrations, watch and cancel them; the loop that carries them out.

In: requests, and a look at each migration that is not over. Out: rows, promises in the ledger,
calls of movers. Events wake, the row's state decides: each look does what that state asks for, by
what runs, so that a control plane that dies at any point leaves one running copy.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import structlog

from umbel.compute.model import Function, FunctionState, Instance, NoSuchNode
from umbel.compute.service import CannotMigrate, Compute
from umbel.kit.clock import Clock
from umbel.kit.controller import Controller, Pace
from umbel.kit.errors import Conflict, NotFound, Unavailable
from umbel.kit.ids import new_id
from umbel.kit.leases import Leases
from umbel.mobility import admission
from umbel.mobility.admission import Verdict
from umbel.mobility.assessment import Assessment
from umbel.mobility.model import (
    MIGRATION_STATES,
    Json,
    Migration,
    MigrationEvent,
    MigrationKind,
    MigrationState,
    Step,
    Terms,
)
from umbel.mobility.ports import FunctionOwner, Mover, StepFailed, Ways
from umbel.mobility.rule_store import MigrationRules
from umbel.mobility.store import MigrationsBusy, MigrationStore, NoSuchMigration

log = structlog.get_logger(__name__)

MOVES_KEPT_S = 60.0
"""For how long an owner may still act on rows that it read before a move: longer than a lease."""
_PREFERRED = (MigrationKind.FULL_TRANSFER, MigrationKind.REPLACEMENT)
_LOOK_S = 0.25
_FIND_S = 2.0
_S, _E = MigrationState, MigrationEvent
_STEPS: Mapping[
    MigrationState, tuple[Callable[[Mover, Migration], Awaitable[bool]], MigrationEvent]
] = {
    _S.ADMITTED: (lambda mover, one: mover.prepare(one), _E.PREPARE),
    _S.PREPARED: (lambda mover, one: mover.prepare(one), _E.COPY),  # what was there may be gone
    _S.COPYING: (lambda mover, one: mover.copy(one), _E.SWITCH),
    _S.SWITCHED: (lambda mover, one: mover.commit(one), _E.COMMIT),
}
"""What the mover does in each state, and what has happened once that is done."""


class NoFunctionToMove(NotFound):
    """No function has this id."""

    code = "umbel.no_function_to_move"


class FunctionNotActive(Conflict):
    """Only a function that runs can be moved; wait until it is active."""

    code = "umbel.function_not_active"


class AlreadyThere(Conflict):
    """The function runs on that node already."""

    code = "umbel.already_there"


@dataclass(frozen=True, kw_only=True)
class Request:
    """A wish to move a function. Without a kind it is copied where its VIM can do that, else
    replaced; for `wait_s` it may wait to be admitted."""

    function: str
    target: str
    kind: MigrationKind | None = None
    terms: Terms = field(default_factory=Terms)
    wait_s: float = 0.0


@dataclass(kw_only=True)
class Mobility:
    """Everything the portal may ask of mobility. `movers` are by kind, `at_once` migrations run at
    a time; `on_close` ends what movers have under way here."""

    store: MigrationStore
    rules: MigrationRules
    compute: Compute
    owners: Mapping[str, FunctionOwner]
    movers: Mapping[MigrationKind, Mover]
    ways: Ways
    clock: Clock
    leases: Leases
    on_close: Callable[[], Awaitable[None]]
    at_once: int = 2
    assessment: Assessment = field(init=False)
    _controller: Controller = field(init=False)
    _promised: dict[str, tuple[str, Function]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.assessment = Assessment(
            store=self.store,
            rules=self.rules,
            compute=self.compute,
            ways=self.ways,
            clock=self.clock,
        )
        self._controller = Controller(self._reconcile, lease=self._lease, standby=self._standby)

    # -- what is asked ----------------------------------------------------------------------

    async def check(self, request: Request, *, by: str = "") -> tuple[Migration, Verdict]:
        """What `start` would make of it now, without beginning. Raises NoFunctionToMove,
        NoSuchNode, FunctionNotActive, AlreadyThere, CannotMigrate."""
        migration, function, instance = await self._planned(request, by=by)
        return migration, await self.assessment.verdict(migration, function, instance)

    async def start(self, request: Request, *, by: str) -> Migration:
        """Accept a migration; the loop admits it or says why not. Raises what `check` raises,
        MigrationUnderWay, TooManyMigrations."""
        migration, _, _ = await self._planned(request, by=by)
        await self.store.add(migration)
        log.info("migration planned", id=migration.id, function=migration.function)
        self._controller.wake(migration.id)
        return migration

    async def get(self, migration_id: str) -> Migration:
        """One of them. Raises NoSuchMigration."""
        return await self.store.get(migration_id)

    async def list(self) -> list[Migration]:
        """All that are remembered, the newest first."""
        return await self.store.all()

    async def cancel(self, migration_id: str, *, by: str) -> Migration:
        """Have it aborted at the next look. Raises NoSuchMigration, MigrationTooLate."""
        migration = await self.store.cancel(migration_id, by=by, at_s=self.clock.now_s())
        self._controller.wake(migration_id)
        return migration

    def possible(
        self,
        owner: str,
        function: Function,
        target: str,
        kinds: Sequence[MigrationKind] = _PREFERRED,
    ) -> tuple[MigrationKind | None, str]:
        """The first of the kinds by which the owner's function can be moved there from its node; or
        None, and why not. Raises NoSuchNode."""
        refusals = []
        for kind in kinds:
            refusal = self.movers[kind].refusal(owner, function, target)
            if not refusal:
                return kind, ""
            refusals.append(refusal)
        return None, "; ".join(refusals)

    async def run(self) -> None:
        """Carry out migrations until cancelled; those of an instance that died, too."""
        try:
            while True:
                try:
                    for migration in await self.store.active():
                        self._controller.wake(migration.id)
                except Unavailable as error:
                    log.warning("migrations not read", reason=error.message)
                await asyncio.sleep(_FIND_S)
        finally:
            await self._controller.close()
            await self.on_close()

    def pace(self) -> Pace:
        """Whether looks happen when they are due."""
        return self._controller.pace()

    # -- a request --------------------------------------------------------------------------

    async def _planned(self, request: Request, *, by: str) -> tuple[Migration, Function, Instance]:
        instance = (await self.compute.running()).get(request.function)
        if instance is None:
            message = f"There is no function {request.function}"
            raise NoFunctionToMove(message, function=request.function)
        target = self.compute.node(request.target).name
        if instance.state is not FunctionState.ACTIVE:
            message = f"{instance.id} is {instance.state.value}, not active"
            raise FunctionNotActive(message, function=instance.id)
        if instance.node == target:
            raise AlreadyThere(f"{instance.id} runs on {target} already", node=target)
        owner = self.owners.get(instance.owner)
        function = None if owner is None else (await owner.wanted()).get(instance.id)
        if function is None:
            message = f"{instance.owner} does not let {instance.id} be moved"
            raise CannotMigrate(message, function=instance.id)
        now_s = self.clock.now_s()
        migration = Migration(
            id=new_id("mi"),
            function=instance.id,
            owner=instance.owner,
            source=instance.node,
            target=target,
            kind=self._kind(request, instance, function),
            requested_by=by,
            requested_s=now_s,
            changed_s=now_s,
            wait_until_s=now_s + request.wait_s,
            terms=request.terms,
        )
        return migration, function, instance

    def _kind(self, request: Request, instance: Instance, function: Function) -> MigrationKind:
        """The kind that is asked for, else the first that can be had."""
        here = replace(function, node=instance.node)
        kinds = _PREFERRED if request.kind is None else (request.kind,)
        kind, refusal = self.possible(instance.owner, here, request.target, kinds)
        if kind is None:
            message = f"{instance.id} cannot be moved to {request.target}: {refusal}"
            raise CannotMigrate(message, function=instance.id)
        return kind

    # -- a look -----------------------------------------------------------------------------

    async def _lease(self, migration_id: str) -> bool:
        return await self.leases.acquire(_lease_name(migration_id))

    async def _standby(self, migration_id: str) -> float | None:
        """Another instance carries it out; what it has promised counts here, too."""
        return await self._look(migration_id, self._restate)

    async def _reconcile(self, migration_id: str) -> float | None:
        return await self._look(migration_id, self._carry_on)

    async def _look(
        self,
        migration_id: str,
        act: Callable[[Migration], Coroutine[Any, Any, float]],
    ) -> float | None:
        try:
            migration = await self.store.get(migration_id)
        except NoSuchMigration:
            migration = None
        if migration is not None and not migration.is_over:
            return await act(migration)
        self._release(migration_id)
        await self.leases.drop(_lease_name(migration_id))
        await self._controller.forget(migration_id)
        return None

    async def _restate(self, migration: Migration) -> float:
        function = await self._wanted(migration)
        if migration.state is not _S.PLANNED and function is not None:
            self._promise(migration, function)
        return _FIND_S

    async def _carry_on(self, migration: Migration) -> float:
        """Do what the row's state asks for; answers when to look again."""
        await self._restate(migration)
        try:
            self._check(migration)
            return await self._step(migration)
        except StepFailed as failed:
            return await self._abort(migration, str(failed))

    def _check(self, migration: Migration) -> None:
        """Raises StepFailed for what ends it in any state, until it has switched."""
        if not MIGRATION_STATES.allows(migration.state, _E.ABORT):
            return
        if migration.cancelled_by:
            raise StepFailed(f"cancelled by {migration.cancelled_by}")
        try:
            is_ready = self.assessment.is_ready(migration.target)
        except NoSuchNode as error:
            raise StepFailed(error.message) from error
        if migration.state in {_S.ADMITTED, _S.PREPARED} and not is_ready:
            raise StepFailed(admission.not_ready(migration.target))
        now_s, since_s = self.clock.now_s(), migration.copying_s
        if since_s is not None and now_s - since_s > migration.terms.max_duration_s:
            most_s = migration.terms.max_duration_s
            raise StepFailed(f"the copy was not done within {most_s:g} s")

    async def _step(self, migration: Migration) -> float:
        if migration.state is _S.PLANNED:
            return await self._admit(migration)
        mover, (do, event) = self.movers[migration.kind], _STEPS[migration.state]
        if not await do(mover, migration):
            await self._report(migration, mover)
            return _LOOK_S
        step = self._switched(migration, mover) if event is _E.SWITCH else Step(event=event)
        return await self._next(migration, step)

    async def _admit(self, migration: Migration) -> float:
        """Promise the room at the target and begin, or wait, or abort with the reason."""
        instance = (await self.compute.running()).get(migration.function)
        function = await self._wanted(migration)
        if function is None or instance is None or instance.state is not FunctionState.ACTIVE:
            raise StepFailed(f"{migration.function} does not run any more")
        if instance.node != migration.source:
            raise StepFailed(f"{migration.function} runs on {instance.node} by now")
        verdict = await self.assessment.verdict(migration, function, instance)
        if verdict.is_admitted:
            # No await since the ledger was read: no other placer has given the room away.
            self._promise(migration, function)
            predicted = asdict(verdict.prediction) if verdict.prediction is not None else {}
            try:
                admitted = Step(event=_E.ADMIT, predicted=predicted)
                return await self._next(migration, admitted, most_running=self.at_once)
            except MigrationsBusy as busy:
                self._release(migration.id)
                return await self._wait(migration, busy.message)
        reason = "; ".join(verdict.reasons)
        if self.clock.now_s() >= migration.wait_until_s:
            raise StepFailed(reason)
        return await self._wait(migration, reason)

    async def _wait(self, migration: Migration, reason: str) -> float:
        if reason != migration.reason:
            waiting = replace(migration, reason=reason)
            await self.store.report(waiting, at_s=self.clock.now_s())
        return _FIND_S

    async def _report(self, migration: Migration, mover: Mover) -> None:
        progress = mover.progress(migration)
        if progress != migration.progress:
            made = replace(migration, progress=progress)
            await self.store.report(made, at_s=self.clock.now_s())

    def _switched(self, migration: Migration, mover: Mover) -> Step:
        since_s = migration.copying_s or self.clock.now_s()
        known = mover.progress(migration)
        achieved: Json = {
            "duration_s": round(self.clock.now_s() - since_s, 3),
            **{name: known[name] for name in ("gap_s", "copied_mb", "disk_mb") if name in known},
        }
        return Step(event=_E.SWITCH, achieved=achieved)

    async def _abort(self, migration: Migration, reason: str) -> float:
        mover = self.movers[migration.kind]
        if not await mover.undo(migration):
            return await self._next(migration, self._switched(migration, mover))
        await self._next(migration, Step(event=_E.ABORT, reason=reason))
        return 0.0

    async def _next(
        self, migration: Migration, step: Step, *, most_running: int | None = None
    ) -> float:
        """Write the step that was done. Raises LeaseLost where another instance may go on."""
        self.leases.check(_lease_name(migration.id))
        now_s = self.clock.now_s()
        after = await self.store.transition(
            migration.id, step, at_s=now_s, most_running=most_running
        )
        log.info("migration", id=migration.id, state=after.state.value, reason=after.reason)
        return 0.0

    async def _wanted(self, migration: Migration) -> Function | None:
        owner = self.owners.get(migration.owner)
        return None if owner is None else (await owner.wanted()).get(migration.function)

    def _promise(self, migration: Migration, function: Function) -> None:
        """Have the ledger hold the function's room at the target. An owner that replaces a
        function promises its successor's room itself."""
        if migration.kind is MigrationKind.REPLACEMENT:
            return
        there = replace(function, node=migration.target)
        self._promised[migration.id] = (migration.owner, there)
        self.compute.ledger.expect_at_targets(self._promised.values())

    def _release(self, migration_id: str) -> None:
        self._promised.pop(migration_id, None)
        self.compute.ledger.expect_at_targets(self._promised.values())


def _lease_name(migration_id: str) -> str:
    return f"migration:{migration_id}"
