"""What viewers watch becomes the demand of a plan of the platform's own network."""

from pathlib import Path

from support.virtual import scenario
from support.world import world
from umbel.plans import requests
from umbel.plans.model import PlanRequest


@scenario
async def test_the_live_audience_is_a_demand_that_can_be_planned(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        event = await w.live()
        for node in ("pe2", "pe2", "pe4"):
            await w.watch(event, node)
        plans = w.system.plans
        rows = await plans.watched()
        found = {(row["end"], row["content"]): row["parallel"] for row in rows}
        assert found == {("pe2", event): 2.0, ("pe4", event): 1.0}
        asked = PlanRequest(document=plans.platform(), rows=rows, gamma=1.0)
        problem = requests.problem_of(asked)
        assert len(problem.network.nodes) == 7
        assert [bundle.parallel for bundle in problem.demand.bundles] == [2.0, 1.0]
