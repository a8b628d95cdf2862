"""A drawn network checked against the operator's own, all problems reported at once. Pure.

In: a drawing and the topology it is drawn over. Out: the drawing, or InvalidDrawing.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from umbel.network.model import Pair, Topology, pair
from umbel.network.overlay import spanning
from umbel.network.overlay.spanning import Drawing, InvalidDrawing, Role


def read(nodes: Sequence[tuple[str, Role]], links: Sequence[Pair], topology: Topology) -> Drawing:
    """The drawing. Raises InvalidDrawing with every problem in `problems`: those of spanning.span,
    the leaves' also next to others, nodes drawn twice, nodes and links that the network has not."""
    drawing = Drawing(roles=dict(nodes), links=tuple(links))
    times = Counter(name for name, _ in nodes)
    problems = [f"node {name}: drawn {count} times" for name, count in times.items() if count > 1]
    problems += [*_span_problems(drawing), *_foreign(drawing, topology)]
    problems = list(dict.fromkeys(problems))
    if problems:
        raise InvalidDrawing(f"The drawing has {len(problems)} problem(s)", problems=problems)
    return drawing


def follow(
    drawing: Drawing, before: Topology, now: Topology, roles_of: Mapping[str, Role]
) -> Drawing:
    """The drawing after nodes and links came and went. A node that came has its role of
    `roles_of`, but there is one root."""
    links = {pair(link.a, link.b): (link.a, link.b) for link in now.links}
    new = links.keys() - {pair(link.a, link.b) for link in before.links}
    drawn = [link for link in drawing.links if pair(*link) in links]
    roles = {name: role for name, role in drawing.roles.items() if name in now.nodes}
    for name in now.nodes:
        if name not in before.nodes:
            role = roles_of.get(name, Role.LEAF)
            roles.setdefault(name, Role.LEAF if role is Role.ROOT else role)
    known = {pair(*link) for link in drawn}
    more = (ends for key, ends in links.items() if key in new - known and roles.keys() >= {*ends})
    return Drawing(roles=roles, links=(*drawn, *more))


def _span_problems(drawing: Drawing) -> list[str]:
    """What is wrong with it, and then with what is left of it without that."""
    try:
        spanning.span(drawing)
    except InvalidDrawing as error:
        problems = _listed(error)
    else:
        return []
    mended = _mended(drawing)
    if mended is not None and mended != drawing:
        try:
            spanning.span(mended)
        except InvalidDrawing as error:
            problems += [problem for problem in _listed(error) if problem not in problems]
    return problems


def _mended(drawing: Drawing) -> Drawing | None:
    """The drawing with one root, and only links that can be; None where there is no root."""
    roots = [name for name, role in drawing.roles.items() if role is Role.ROOT]
    if not roots:
        return None
    roles = {**drawing.roles, **dict.fromkeys(roots[1:], Role.RELAY)}
    links: dict[Pair, Pair] = {}
    for a, b in drawing.links:
        if a != b and a in roles and b in roles:
            links.setdefault(pair(a, b), (a, b))
    return Drawing(roles=roles, links=tuple(links.values()))


def _foreign(drawing: Drawing, topology: Topology) -> Iterator[str]:
    for name in drawing.roles:
        if name not in topology.nodes:
            yield f"node {name}: the network has no such node"
    there = {pair(link.a, link.b) for link in topology.links}
    known = drawing.roles.keys() & set(topology.nodes)
    for a, b in dict.fromkeys(pair(*link) for link in drawing.links):
        if a != b and {a, b} <= known and (a, b) not in there:
            yield f"link {a}-{b}: the network does not join them"


def _listed(error: InvalidDrawing) -> list[str]:
    problems = error.details["problems"]
    return [str(problem) for problem in problems] if isinstance(problems, list) else [str(problems)]
