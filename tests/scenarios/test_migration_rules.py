"""Rules against moves over a control plane's own nodes: refused, waited for, kept."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from support.migrating import Plane, plane
from support.virtual import scenario, until
from umbel.mobility.model import MigrationKind, MigrationState
from umbel.mobility.rule_store import NoSuchMigrationRule, TooManyMigrationRules
from umbel.mobility.rules import MOST_RULES, Hours, MigrationRule


async def _put(p: Plane, rule: MigrationRule) -> None:
    await p.mobility.rules.put(rule, by="anna")


@scenario
async def test_a_rule_refuses_and_a_move_may_wait_until_it_is_gone(tmp_path: Path) -> None:
    async with plane(tmp_path) as p:
        function = await p.guest()
        await _put(p, MigrationRule(name="fair", reason="the fair is on", targets=("pe2",)))
        refused = await p.until_over(await p.ask(function))
        assert (refused.state, refused.reason) == (
            MigrationState.ABORTED,
            "the fair is on (rule fair)",
        )
        waiting = await p.ask(function, wait_s=600.0)

        async def waits() -> bool:
            return (await p.mobility.get(waiting.id)).reason == "the fair is on (rule fair)"

        await until(waits, within_s=10, why="it waits for the rule to go")
        await p.mobility.rules.remove("fair", by="anna")
        assert (await p.until_over(waiting)).state is MigrationState.COMMITTED


@scenario
async def test_a_move_waits_for_the_hours_of_a_rule_to_end(tmp_path: Path) -> None:
    async with plane(tmp_path) as p:
        function = await p.guest()
        now = datetime.fromtimestamp(p.clock.now_s(), UTC)
        hours = Hours(first=f"{now:%H:%M}", last=f"{now + timedelta(minutes=3):%H:%M}")
        await _put(p, MigrationRule(name="mass", reason="mass", hours=hours))
        over = await p.until_over(await p.ask(function, wait_s=600.0), within_s=600)
        assert over.state is MigrationState.COMMITTED
        done = datetime.fromtimestamp(over.changed_s, UTC)
        assert timedelta(minutes=2) < done - now < timedelta(minutes=4)


@scenario
async def test_rules_outlive_the_control_plane(tmp_path: Path) -> None:
    async with plane(tmp_path) as p:
        rule = MigrationRule(
            name="all",
            reason="no",
            functions=("a*", "!ab"),
            kinds=(MigrationKind.FULL_TRANSFER,),
            hours=Hours(days=("mon",), zone="Europe/Rome"),
        )
        await _put(p, replace(rule, reason="an earlier one"))
        await _put(p, rule)
        await p.kill()
        await p.start()
        assert await p.mobility.rules.all() == [rule]
        with pytest.raises(NoSuchMigrationRule):
            await p.mobility.rules.remove("none", by="anna")


@scenario
async def test_there_are_only_so_many_rules(tmp_path: Path) -> None:
    async with plane(tmp_path) as p:
        for number in range(MOST_RULES):
            await _put(p, MigrationRule(name=f"r{number}", reason="no"))
        await _put(p, MigrationRule(name="r0", reason="another one"))
        with pytest.raises(TooManyMigrationRules):
            await _put(p, MigrationRule(name="more", reason="no"))
        assert len(await p.mobility.rules.all()) == MOST_RULES
