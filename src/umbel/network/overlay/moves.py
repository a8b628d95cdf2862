"""A leaf of a stream moves to another node or receiver: prepare, then commit or abort. Pure.

In: a stream as it is carried, the path that leaves and the one that comes. Out: the stream with the
move under way, done or taken back.
"""

from dataclasses import replace

from umbel.kit.errors import Conflict
from umbel.network.overlay.streams import Carriage, Move, Path


class BadMove(Conflict):
    """The leaf cannot be moved so now."""

    code = "umbel.bad_move"


def prepare(carriage: Carriage, source: str, target: str, function: int = 0) -> Carriage:
    """Packets are cloned to where the leaf will be; the old place goes on as before. `function` is
    the port the moved function will have there; it sends to the receivers as soon as it runs.
    Without one the clones sink until the move is done: a switch would send second copies.

    Raises BadMove when no path ends at `source`, another move is under way, or the target is not
    below the tree's root. The same move twice is one.
    """
    _movable(carriage, source)
    if target == source or target not in carriage.tree.parents:
        raise BadMove(f"No leaf can move from {source} to {target}", leaf=source, target=target)
    return _begun(carriage, Move(source=source, target=target, function=function))


def hand_over(carriage: Carriage, leaving: Path, coming: Path) -> Carriage:
    """Packets are cloned to the receiver of `coming`, which will stand in for that of `leaving`; on
    the same node or another. Raises BadMove as `prepare`."""
    if leaving not in carriage.paths:
        raise BadMove(f"The receiver at {leaving.leaf} does not get it", leaf=leaving.leaf)
    if coming.leaf not in carriage.tree.nodes or not (leaving.receiver and coming.receiver):
        problem = f"No leaf can move from {leaving.leaf} to {coming.leaf}"
        raise BadMove(problem, leaf=leaving.leaf, target=coming.leaf)
    return _begun(
        carriage,
        Move(
            source=leaving.leaf,
            target=coming.leaf,
            leaving=leaving.receiver,
            coming=coming.receiver,
        ),
    )


def _begun(carriage: Carriage, move: Move) -> Carriage:
    if carriage.move == move:
        return carriage
    if carriage.move is not None:
        raise BadMove("Another leaf of the stream is moving", leaf=carriage.move.source)
    return replace(carriage, move=move)


def commit(carriage: Carriage) -> Carriage:
    """The leaf is where it was moved to, with its function; its old path is gone. Raises BadMove
    without a move, or when a switch refused it."""
    move = _moving(carriage)
    if move.refused:
        raise BadMove(f"The leaf cannot move: {move.refused}", leaf=move.source)
    if move.coming:
        left, come = (
            Path(leaf=move.source, receiver=move.leaving),
            Path(leaf=move.target, receiver=move.coming),
        )
        stay = [path for path in carriage.paths if path != left]
        return replace(carriage, paths=tuple(dict.fromkeys([*stay, come])), move=None)
    paths = [
        replace(path, leaf=move.target) if path.leaf == move.source else path
        for path in carriage.paths
    ]
    functions = dict(carriage.functions)
    functions.pop(move.source, None)
    if move.function:
        functions.setdefault(move.target, move.function)
    return replace(carriage, paths=tuple(dict.fromkeys(paths)), functions=functions, move=None)


def abort(carriage: Carriage) -> Carriage:
    """The leaf stays where it was. Raises BadMove without a move."""
    _moving(carriage)
    return replace(carriage, move=None)


def _movable(carriage: Carriage, source: str) -> None:
    if all(path.leaf != source for path in carriage.paths):
        raise BadMove(f"No path ends at {source}", leaf=source)


def _moving(carriage: Carriage) -> Move:
    if carriage.move is None:
        raise BadMove("No leaf of the stream is moving", stream=carriage.stream.name)
    return carriage.move
