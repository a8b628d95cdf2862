"""The choice of moves: 200 functions on 50 nodes to 1 %, next to the 5 seconds it may take."""

import random
import statistics
import time

from support.figures import Figure, emit

from umbel.planner.moves import solve
from umbel.planner.moves.model import Host, HostedFunction, MoveEffort, MoveGoal, MoveProblem

RUNS = 5
LIMIT_S, SOLVING_S = 5.0, 4.2
HOSTS, FUNCTIONS, DRAINED, APART = 50, 200, 3, 20


def problem(goal: MoveGoal, seed: int) -> MoveProblem:
    """Nodes of two sizes and functions of twelve, which stand where there was room."""
    draw = random.Random(seed)
    hosts = [
        Host(
            name=f"n{number}",
            cores=draw.choice((16, 32)),
            memory_mb=draw.choice((32_768, 65_536)),
            idle_w=draw.choice((60, 90)),
            full_w=draw.choice((180, 260)),
            images=frozenset({"a", "b"} if number % 2 else {"a"}),
            drained=goal is MoveGoal.DRAIN and number < DRAINED,
        )
        for number in range(HOSTS)
    ]
    free = {host.name: [host.cores, host.memory_mb] for host in hosts}
    functions = []
    for number in range(FUNCTIONS):
        cores, memory_mb = draw.choice((1, 2, 4)), draw.choice((512, 1024, 2048, 4096))
        home = draw.choice([n for n, (c, m) in free.items() if c >= cores and m >= memory_mb])
        free[home][0] -= cores
        free[home][1] -= memory_mb
        functions.append(
            HostedFunction(
                name=f"f{number}",
                host=home,
                cores=cores,
                memory_mb=memory_mb,
                disk_mb=2048,
                changed_mb=draw.randrange(10, 300),
                image=draw.choice("ab"),
            )
        )
    pairs = tuple(frozenset({f"f{n}", f"f{n + 1}"}) for n in range(0, 2 * APART, 2))
    return MoveProblem(hosts=tuple(hosts), functions=tuple(functions), goal=goal, apart=pairs)


def main() -> None:
    """Each goal, for some seeds."""
    for goal in MoveGoal:
        spent, gaps = [], []
        for seed in range(RUNS):
            asked = problem(goal, seed)
            began_s = time.perf_counter()
            made = solve.plan(asked, MoveEffort(time_s=SOLVING_S, gap_share=0.01))
            spent.append(time.perf_counter() - began_s)
            gaps.append(100 * made.gap)
        for case, values, unit, limit in (
            (f"{goal}-time", spent, "s", LIMIT_S),
            (f"{goal}-gap", gaps, "%", 1.0),
        ):
            figure = Figure(
                bench="choice",
                case=case,
                value=statistics.median(values),
                unit=unit,
                n=RUNS,
                peer="limit",
                peer_value=limit,
            )
            emit(figure)


if __name__ == "__main__":
    main()
