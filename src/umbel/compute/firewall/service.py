"""The firewall, for operators; and what keeps rules in force where their guests run.

In: what operators ask, and which functions run. Out: rows, and filters at VIMs. A rule is in force
before its row is written, and its row is there until it is not. It goes with its function.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

import structlog

from umbel.compute.firewall.model import (
    FirewallRule,
    NoFirewallThere,
    check_sources,
    port_range,
)
from umbel.compute.firewall.ports import FiltersTraffic, TrafficFilter
from umbel.compute.firewall.store import FirewallStore, check_number
from umbel.compute.hypervisors.model import NoSuchGuest
from umbel.compute.model import FunctionState, Instance, NoSuchNode, Transport
from umbel.compute.ports import Vim
from umbel.kit.clock import Clock
from umbel.kit.controller import Controller
from umbel.kit.errors import UmbelError
from umbel.kit.ids import new_id

log = structlog.get_logger(__name__)

_EVERY_S = 10.0
_GONE_S = 120.0
"""For how long a function may be gone before its rules are: its owner may start it again."""
_LOOP = "firewall"


class FirewallService:
    """The rules. `vim_at` answers the VIM of a node and raises NoSuchNode; `is_lost` whether the
    node does not answer."""

    def __init__(
        self,
        store: FirewallStore,
        vim_at: Callable[[str], Vim],
        running: Callable[[], Awaitable[Mapping[str, Instance]]],
        is_lost: Callable[[str], bool],
        clock: Clock,
    ) -> None:
        self._store = store
        self._vim_at = vim_at
        self._running = running
        self._is_lost = is_lost
        self._clock = clock
        self._gone_s: dict[str, float] = {}
        self._problems: dict[str, str] = {}
        self._controller = Controller(self._reconcile)

    def serve(self, vims: Iterable[Vim]) -> None:
        """Have guests of these VIMs begin with the rules of their functions."""
        for vim in vims:
            if isinstance(vim, FiltersTraffic):
                vim.firewall.rules_of = self._store.of

    async def list(self, function_id: str = "") -> Sequence[FirewallRule]:
        """Every rule, or those of one function."""
        return await (self._store.of(function_id) if function_id else self._store.all())

    async def add(
        self, function_id: str, transport: Transport, ports: str, sources: Sequence[str], *, by: str
    ) -> FirewallRule:
        """From now on the running function's ports take packets from these sources alone, and from
        those of its other rules. Raises BadFirewallRule, TooManyFirewallRules, NoFirewallThere,
        NoSuchGuest and what the VIM raises."""
        instance = (await self._running()).get(function_id)
        if instance is None or instance.state is not FunctionState.ACTIVE:
            raise NoSuchGuest(f"No function {function_id} is active", function=function_id)
        port_range(ports, instance.ports)
        rule = FirewallRule(
            id=new_id("fw"),
            function=function_id,
            node=instance.node,
            transport=transport,
            ports=ports,
            sources=tuple(check_sources(sources)),
            created_s=self._clock.now_s(),
            created_by=by,
        )
        before = await self._store.of(function_id)
        check_number(len(before), function_id)
        await self._filter(instance.node).apply(function_id, [*before, rule])
        await self._store.add(rule)
        log.info("firewall rule added", rule=rule.id, function=function_id, ports=ports, by=by)
        return rule

    async def remove(self, rule_id: str, *, by: str) -> None:
        """The rule is in force no more. Raises NoSuchFirewallRule and what the VIM raises."""
        rule = await self._store.get(rule_id)
        left = [one for one in await self._store.of(rule.function) if one.id != rule_id]
        instance = (await self._running()).get(rule.function)
        if instance is not None and instance.state is not FunctionState.FAILED:
            await self._filter(instance.node).apply(rule.function, left)
        await self._store.remove(rule_id)
        log.info("firewall rule removed", rule=rule_id, function=rule.function, by=by)

    async def run(self) -> None:
        """Keep rules in force, until cancelled, and forget those of functions that are gone."""
        await self._controller.run(_LOOP)

    async def _reconcile(self, _key: str) -> float:
        rules: dict[str, list[FirewallRule]] = {}
        for rule in await self._store.all():
            rules.setdefault(rule.function, []).append(rule)
        running = await self._running() if rules else {}
        self._gone_s = {id_: at for id_, at in self._gone_s.items() if id_ in rules}
        for function_id, its in rules.items():
            instance = running.get(function_id)
            if instance is None:
                await self._forget_later(function_id, its[0].node)
            elif instance.state is FunctionState.ACTIVE:
                self._gone_s.pop(function_id, None)
                await self._keep(instance, its)
        return _EVERY_S

    async def _keep(self, instance: Instance, rules: Sequence[FirewallRule]) -> None:
        try:
            at = self._filter(instance.node)
            if not await at.is_applied(instance.id, rules):
                await at.apply(instance.id, await self._store.of(instance.id))
                log.info("firewall rules applied again", function=instance.id)
            if rules[0].node != instance.node:
                await self._store.seen_at(instance.id, instance.node)
            self._problems.pop(instance.id, None)
        except UmbelError as error:
            if self._problems.get(instance.id) != error.message:
                log.warning("rules not in force", function=instance.id, reason=error.message)
            self._problems[instance.id] = error.message

    async def _forget_later(self, function_id: str, node: str) -> None:
        try:
            if self._is_lost(node):  # it may run there
                self._gone_s.pop(function_id, None)
                return
        except NoSuchNode:
            pass
        now_s = self._clock.monotonic_s()
        if now_s - self._gone_s.setdefault(function_id, now_s) >= _GONE_S:
            await self._store.remove_of(function_id)
            log.info("firewall rules forgotten", function=function_id)

    def _filter(self, node: str) -> TrafficFilter:
        vim = self._vim_at(node)
        if not isinstance(vim, FiltersTraffic):
            raise NoFirewallThere(f"Functions of {node} are no guests", node=node)
        return vim.firewall
