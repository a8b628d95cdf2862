"""A leaf of a stream moves to another node or receiver: prepare, then commit or abort. Pure.

In: a stream as it is carried, the path that leaves and the one that comes. Out: the stream with the
move under way, done or taken back.
"""

from dataclasses import replace

from umbel.kit.errors import Conflict
from umbel.network.overlay.streams import Move, Path, RoutedStream


class InvalidMove(Conflict):
    """This receiver cannot be moved that way at the moment."""

    code = "umbel.invalid_move"


def prepare(routed: RoutedStream, source: str, target: str, function: int = 0) -> RoutedStream:
    """Packets are cloned to where the leaf will be; the old place goes on as before. `function` is
    the port the moved function will have there; it sends to the receivers as soon as it runs.
    Without one the clones sink until the move is done: a switch would send second copies.

    Raises InvalidMove when no path ends at `source`, another move is under way, or the target is
    not below the tree's root. The same move twice is one.
    """
    _movable(routed, source)
    if target == source or target not in routed.tree.parents:
        raise InvalidMove(f"No leaf can move from {source} to {target}", leaf=source, target=target)
    return _begun(routed, Move(source=source, target=target, function=function))


def hand_over(routed: RoutedStream, leaving: Path, coming: Path) -> RoutedStream:
    """Packets are cloned to the receiver of `coming`, which will stand in for that of `leaving`; on
    the same node or another. Where a function takes the stream at the node of `leaving`, clones
    wait for one at the node of `coming`: neither receiver gets what no function took. Raises
    InvalidMove as `prepare`."""
    if leaving not in routed.paths:
        raise InvalidMove(f"The receiver at {leaving.leaf} does not get it", leaf=leaving.leaf)
    if coming.leaf not in routed.tree.nodes or not (leaving.receiver and coming.receiver):
        problem = f"No leaf can move from {leaving.leaf} to {coming.leaf}"
        raise InvalidMove(problem, leaf=leaving.leaf, target=coming.leaf)
    return _begun(
        routed,
        Move(
            source=leaving.leaf,
            target=coming.leaf,
            leaving=leaving.receiver,
            coming=coming.receiver,
            processed=leaving.leaf in routed.functions and leaving.leaf != routed.tree.root,
        ),
    )


def _begun(routed: RoutedStream, move: Move) -> RoutedStream:
    if routed.move == move:
        return routed
    if routed.move is not None:
        raise InvalidMove("Another leaf of the stream is moving", leaf=routed.move.source)
    return replace(routed, move=move)


def commit(routed: RoutedStream) -> RoutedStream:
    """The leaf is where it was moved to, with its function; its old path is gone. Raises
    InvalidMove without a move, when a switch refused it, or while packets would come unprocessed
    because the function is not at the new node yet."""
    move = _moving(routed)
    if move.refused:
        raise InvalidMove(f"The leaf cannot move: {move.refused}", leaf=move.source)
    if move.processed and move.target not in routed.functions:
        problem = f"No function takes the stream at {move.target} yet"
        raise InvalidMove(problem, leaf=move.source, target=move.target)
    if move.coming:
        left, come = (
            Path(leaf=move.source, receiver=move.leaving),
            Path(leaf=move.target, receiver=move.coming),
        )
        binding = [path for path in routed.paths if path != left]
        return replace(routed, paths=tuple(dict.fromkeys([*binding, come])), move=None)
    paths = [
        replace(path, leaf=move.target) if path.leaf == move.source else path
        for path in routed.paths
    ]
    functions = dict(routed.functions)
    functions.pop(move.source, None)
    if move.function:
        functions.setdefault(move.target, move.function)
    return replace(routed, paths=tuple(dict.fromkeys(paths)), functions=functions, move=None)


def abort(routed: RoutedStream) -> RoutedStream:
    """The leaf stays where it was. Raises InvalidMove without a move."""
    _moving(routed)
    return replace(routed, move=None)


def _movable(routed: RoutedStream, source: str) -> None:
    if all(path.leaf != source for path in routed.paths):
        raise InvalidMove(f"No path ends at {source}", leaf=source)


def _moving(routed: RoutedStream) -> Move:
    if routed.move is None:
        raise InvalidMove("No leaf of the stream is moving", stream=routed.stream.name)
    return routed.move
