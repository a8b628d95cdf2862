"""Known networks, and any graph by name: numbers and names in, a Network out."""

from collections.abc import Iterable, Mapping

from umbel.planner.problem import Access, Link, Network, Node

_FMC_ENDS = 15
_FMC_FIXED = frozenset({0, 1, 2, 3, 7})
_BACKHAUL_ENDS = 12
_BACKHAUL_FIXED = frozenset({1, 7})


def fmc_tree() -> Network:
    """The fixed-mobile tree of four stages: a PoP, 2 + 4 aggregation nodes and 15 end nodes, 5 of
    them fixed. How the ends spread over the aggregation (4, 4, 4, 3) is assumed."""
    nodes = [Node(name="pop")]
    links = []
    for number in range(2):
        nodes.append(Node(name=f"l1-{number + 1}", level=1))
        links.append(Link(a="pop", b=f"l1-{number + 1}"))
    for number in range(4):
        nodes.append(Node(name=f"l2-{number + 1}", level=2))
        links.append(Link(a=f"l1-{number // 2 + 1}", b=f"l2-{number + 1}"))
    for number in range(_FMC_ENDS):
        access = Access.FIXED if number in _FMC_FIXED else Access.MOBILE
        nodes.append(Node(name=f"{access}-{number + 1}", access=access, level=3))
        links.append(Link(a=f"l2-{number % 4 + 1}", b=nodes[-1].name))
    return Network(nodes=tuple(nodes), links=tuple(links), pop="pop")


def mobile_backhaul() -> Network:
    """A mobile backhaul of 21 nodes whose redundant fibres are in use.

    A PoP, two packet gateways joined to each other, two serving gateways homed on both, four
    aggregation nodes homed on one serving gateway each and chained to their neighbours, and 12
    sites, 2 of them fixed. The paper's own drawing is lost: the shape is assumed.
    """
    nodes = [Node(name="pop")]
    for level, (prefix, count) in enumerate((("pgw", 2), ("sgw", 2), ("agg", 4)), start=1):
        nodes += [Node(name=f"{prefix}-{number + 1}", level=level) for number in range(count)]
    pairs = [("pop", "pgw-1"), ("pop", "pgw-2"), ("pgw-1", "pgw-2")]
    pairs += [(f"pgw-{p}", f"sgw-{s}") for p in (1, 2) for s in (1, 2)]
    pairs += [(f"sgw-{(a + 1) // 2}", f"agg-{a}") for a in (1, 2, 3, 4)]
    pairs += [(f"agg-{a}", f"agg-{a + 1}") for a in (1, 2, 3)]
    for number in range(_BACKHAUL_ENDS):
        access = Access.FIXED if number in _BACKHAUL_FIXED else Access.MOBILE
        nodes.append(Node(name=f"{access}-{number + 1}", access=access, level=4))
        pairs.append((f"agg-{number // 3 + 1}", nodes[-1].name))
    links = tuple(Link(a=a, b=b) for a, b in pairs)
    return Network(nodes=tuple(nodes), links=links, pop="pop")


def graph(
    pop: str, access: Mapping[str, Access], pairs: Iterable[tuple[str, str]], lightpaths: int = 4
) -> Network:
    """Any graph: names with their access, and the pairs that fibres join. Levels are hops from
    `pop`; a node that cannot be reached stays at level 0 and `checks` will name it."""
    pairs = tuple(pairs)
    level = {pop: 0}
    queue = [pop]
    for name in queue:
        for pair in pairs:
            if name in pair:
                other = pair[1] if pair[0] == name else pair[0]
                if other not in level:
                    level[other] = level[name] + 1
                    queue.append(other)
    nodes = tuple(Node(name=n, access=a, level=level.get(n, 0)) for n, a in access.items())
    links = tuple(Link(a=a, b=b, lightpaths=lightpaths) for a, b in pairs)
    return Network(nodes=nodes, links=links, pop=pop)
