"""A request becomes the planner's Problem and Goal, or the list of all that is wrong with it."""

import math
import re
from dataclasses import replace

from umbel.kit.errors import Invalid
from umbel.planner import checks, presets
from umbel.planner.problem import Demand, Goal, LeastPower, Problem, Tradeoff, Variant
from umbel.plans import demands, networks
from umbel.plans.model import PlanRequest

MOST_POINTS = 100
MOST_TIME_S = 3600.0
_FLOOR = re.compile(r"\s*(\d{1,9}(?:\.\d{0,9})?)\s*(%?)\s*")
_UNREACHED = "cannot be reached from the pop"


class BadPlanRequest(Invalid):
    """The network, the demand or an option of the plan has problems."""

    code = "umbel.bad_plan_request"


def problem_of(request: PlanRequest) -> Problem:
    """The problem. Raises BadPlanRequest with everything that is wrong in `problems`."""
    planned, wrong_network = networks.parse(request.document)
    demand, wrong_demand = demands.parse(request.rows)
    qoe = presets.LADDER_QOE
    if planned.unknown_share is not None:
        qoe = replace(qoe, unknown_share=planned.unknown_share)
    problem = Problem(
        network=planned.network,
        demand=demand,
        qoe=qoe,
        routing=planned.routing,
        power=planned.power,
    )
    if planned.miss_share is not None:
        problem = replace(problem, miss_share=planned.miss_share)
    found = list(checks.inspect(problem))
    if wrong_network:
        # Nodes and links that could not be read are not there to lead to the others.
        found = [text for text in found if _UNREACHED not in text]
    problems = [*wrong_network, *wrong_demand, *found, *wrong_options(request)]
    if problems:
        problems = list(dict.fromkeys(problems))
        many = "a problem" if len(problems) == 1 else f"{len(problems)} problems"
        raise BadPlanRequest(f"The request has {many}", problems=problems)
    return problem


def wrong_options(request: PlanRequest) -> list[str]:
    """What is wrong with the request, apart from its network and demand."""
    problems = []
    if request.variant not in tuple(Variant):
        problems.append(f"variant is {request.variant!r}, not one of {', '.join(Variant)}")
    if request.points == 0 and (request.gamma is None) == (request.qoe is None):
        problems.append("one of gamma and qoe is needed, and not both")
    if request.points != 0 and not (request.gamma is None and request.qoe is None):
        problems.append("a Pareto front has neither gamma nor qoe")
    if request.points not in {0, *range(2, MOST_POINTS + 1)}:
        problems.append(f"a Pareto front has 2 to {MOST_POINTS} points, not {request.points}")
    ranges = (
        ("gamma", request.gamma, 0.0, 1e6),
        ("time_s", request.time_s, 0.01, MOST_TIME_S),
        ("gap_share", request.gap_share, 1e-6, 1.0),
    )
    for name, value, least, most in ranges:
        if value is not None and not (math.isfinite(value) and least <= value <= most):
            problems.append(f"{name} is {value}, outside {least:g}..{most:g}")
    if request.qoe is not None and _FLOOR.fullmatch(request.qoe) is None:
        problems.append(f"qoe is {request.qoe!r}, not a number or a share such as 90%")
    return problems


def goal_of(request: PlanRequest, full_qoe: float) -> Goal:
    """The goal; `full_qoe` is the whole demand at its best."""
    if request.qoe is None:
        return Tradeoff(gamma=1.0 if request.gamma is None else request.gamma)
    found = _FLOOR.fullmatch(request.qoe)
    if found is None:
        raise BadPlanRequest(problems=wrong_options(request))
    number = float(found[1])
    return LeastPower(qoe_floor=number / 100 * full_qoe if found[2] else number)


def summary(request: PlanRequest) -> dict[str, object]:
    """A summary of the request."""
    nodes = request.document.get("nodes") if isinstance(request.document, dict) else None
    return {
        "variant": request.variant,
        "gamma": request.gamma,
        "qoe": request.qoe,
        "points": request.points,
        "time_s": request.time_s,
        "gap_share": request.gap_share,
        "nodes": len(nodes) if isinstance(nodes, list) else 0,
        "rows": len(request.rows),
    }


def needs_clusters(demand: Demand, most: int) -> bool:
    """Whether there are more contents than the program is to hold."""
    return len(demand.contents) > most
