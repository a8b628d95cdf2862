"""Which paths a program lacks: its row duals in, the paths with negative reduced cost out.

Without whole numbers and with no such path left, no list of paths however long gives a better
bound. A path's cost is the sum of its lightpaths' and nodes' prices, so the cheapest chain of at
most so many lightpaths is found by dynamic programming over their number.
"""

from dataclasses import dataclass

import numpy as np

from umbel.planner.fast import GBIT, Fast
from umbel.planner.instance import Instance
from umbel.planner.linear import Flags, Floats, Ints
from umbel.planner.paths import Path, relays

# In W per Mbit/s: smaller gains are the solver's tolerance.
_GAIN = 1e-6


@dataclass(frozen=True, kw_only=True, eq=False)
class Chains:
    """The cheapest chain between every two nodes: its cost [from, to], infinite where there is
    none, and for each count of lightpaths the stop before the last."""

    cost: Floats
    before: tuple[Ints, ...]

    def path(self, source: int, target: int) -> Path:
        """The chain itself."""
        stops = [target]
        for layer in reversed(self.before):
            stop = int(layer[source, stops[-1]])
            if stop >= 0:
                stops.append(stop)
        return tuple(reversed(stops))


def cheapest(toll: Floats, entry: Floats, through: Flags, most: int) -> Chains:
    """Chains of one to `most` lightpaths over a matrix of tolls [from, to], infinite where there
    is none, with a price for each node touched; only nodes in `through` are passed."""
    step = toll + entry[None, :]
    cost = step + entry[:, None]
    first = np.where(np.isfinite(cost), np.arange(len(toll))[:, None], -1)
    before = [first]
    for _count in range(1, most):
        reach = np.where(through[None, :], cost, np.inf)
        stop, best = np.zeros_like(first), np.empty_like(cost)
        for source in range(len(toll)):
            longer = reach[source][:, None] + step
            stop[source] = longer.argmin(axis=0)
            best[source] = longer.min(axis=0)
        better = best < cost - _GAIN * 1e-3
        cost = np.where(better, best, cost)
        before.append(np.where(better, stop, -1))
    return Chains(cost=cost, before=tuple(before))


def wanted(program: Fast, duals: Floats) -> list[Path]:
    """The paths worth having, the best for each end and source and for each fill."""
    instance, rows = program.instance, program.linear.rows
    price = {name: -duals[members] * GBIT for name, members in rows.items()}
    # What is fixed dark is passed at no price.
    dark = [program.linear.upper[program.linear.columns[letter]] == 0 for letter in "gr"]
    gate = np.where(dark[0], np.inf, price["(3h)"])
    chains = _chains(instance, price["(3f)"], np.where(dark[1], np.inf, price["(3g)"]))
    # What a path costs from end to end, switches at both included.
    whole = chains.cost + gate[:, None] + gate[None, :]
    pop, found = instance.routes.pop, set()
    fill = whole[pop] + price["(3d)"]
    fill[pop] = np.inf
    found |= {(pop, int(node)) for node in np.flatnonzero(fill < -_GAIN)}
    worth = _worth(program, price)
    landing = _landing(program, price["(3a)"])
    for end in range(len(instance.ends)):
        total = whole + landing[None, :, end] - worth[:, None, end]
        np.fill_diagonal(total, np.inf)
        target = total.argmin(axis=1)
        gain = total[np.arange(len(total)), target]
        found |= {(int(i), int(target[i])) for i in np.flatnonzero(gain < -_GAIN)}
    have = set(instance.paths)
    made = (chains.path(*pair) for pair in sorted(found))
    return [path for path in made if path not in have]


def seeds(instance: Instance) -> list[Path]:
    """One path, of the fewest lightpaths, for each pair that a chain joins, and for each node
    that may serve itself."""
    nothing = np.zeros(instance.nodes)
    chains = _chains(instance, np.ones(len(instance.routes.lightpaths)), nothing)
    pairs = instance.routes.pairs()
    paths: list[Path] = [(i,) for i, j in pairs if i == j]
    paths += [chains.path(i, j) for i, j in pairs if i != j and np.isfinite(chains.cost[i, j])]
    return paths


def _chains(instance: Instance, lightpath: Floats, node: Floats) -> Chains:
    toll = np.full((instance.nodes, instance.nodes), np.inf)
    for number, (i, j, _size) in enumerate(instance.routes.lightpaths):
        toll[i, j] = max(0.0, lightpath[number])
    routing = instance.problem.routing
    through = np.zeros(instance.nodes, dtype=bool)
    through[list(relays(instance.routes, routing))] = True
    return cheapest(toll, np.maximum(node, 0.0), through, routing.lightpaths_per_path)


def _worth(program: Fast, price: dict[str, Floats]) -> Floats:
    """What a unit of flow from a node to an end is worth [node, end]; nothing where the node may
    not serve it."""
    instance = program.instance
    worth = np.full((instance.nodes, len(instance.ends)), -np.inf)
    keys = program.places.balance
    worth[keys % instance.nodes, keys // instance.nodes] = -price["(3b)"]
    worth[~instance.serves] = -np.inf
    return worth


def _landing(program: Fast, radio: Floats) -> Floats:
    """What it costs to land at a node for an end [node, end]."""
    instance, at = program.instance, program.places
    landing = np.full((instance.nodes, len(instance.ends)), np.inf)
    fixed = np.flatnonzero(~instance.mobile)
    landing[instance.ends[fixed], fixed] = 0.0
    landing[at.host_node, at.host_end] = radio
    return landing
