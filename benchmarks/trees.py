"""What a tree costs to make: a drawn network of 1000 nodes and 5000 links, next to networkx.

In: nothing. Out: JSON lines on stdout, a table for people on stderr.
"""

import json
import random
import statistics
import sys
import time
from collections.abc import Callable

import networkx as nx

from umbel.network.overlay.spanning import Drawing, Role, span, weight

ROUNDS = 7
NODES, LINKS = 1000, 5000


def drawn(seed: int) -> Drawing:
    """A connected random drawing: one root, a third leaves, the rest relays."""
    rng = random.Random(seed)
    names = [f"n{number}" for number in range(NODES)]
    roles = {name: Role.LEAF if rng.random() < 1 / 3 else Role.RELAY for name in names}
    roles[names[0]] = Role.ROOT
    pairs = {(rng.randrange(number), number) for number in range(1, NODES)}
    while len(pairs) < LINKS:
        a, b = sorted(rng.sample(range(NODES), 2))
        pairs.add((a, b))
    links = sorted(pairs)
    rng.shuffle(links)
    return Drawing(roles=roles, links=tuple((names[a], names[b]) for a, b in links))


def networkx_tree(drawing: Drawing) -> object:
    graph: nx.Graph[str] = nx.Graph()
    graph.add_weighted_edges_from((a, b, weight(drawing.roles, (a, b))) for a, b in drawing.links)
    return nx.minimum_spanning_tree(graph)


def took_ms(work: Callable[[Drawing], object], drawing: Drawing) -> float:
    start = time.perf_counter()
    work(drawing)
    return (time.perf_counter() - start) * 1000


def main() -> None:
    drawings = [drawn(seed) for seed in range(ROUNDS)]
    ours = statistics.median(took_ms(span, drawing) for drawing in drawings)
    theirs = statistics.median(took_ms(networkx_tree, drawing) for drawing in drawings)
    print(f"{'case':16}{'umbel ms':>10}{'networkx ms':>13}", file=sys.stderr)
    print(f"{'kruskal-1000':16}{ours:10.1f}{theirs:13.1f}", file=sys.stderr)
    found = {
        "bench": "trees",
        "case": "kruskal-1000",
        "value": round(ours, 2),
        "unit": "ms",
        "peer": f"networkx {nx.__version__}",
        "peer_value": round(theirs, 2),
        "ratio": round(ours / theirs, 2),
        "n": ROUNDS,
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
