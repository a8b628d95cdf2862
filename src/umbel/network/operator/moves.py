"""A stream's leaf moves and no packet is lost: clones go to the new place before the old way goes.

In: the receiver that leaves and the one that comes, on the same node or another. Out: the overlay
changed through the fabric: `prepare` returns when clones arrive, `commit` when the old way is gone.
Operators move paths by it (service.py); edges and functions that move are to as well.
"""

from umbel.network.overlay.moves import InvalidMove
from umbel.network.overlay.streams import Path
from umbel.network.ports import ProgrammableFabric
from umbel.network.switching.signals import SwitchRefused
from umbel.network.topology.paths import NoPath


async def prepare(fabric: ProgrammableFabric, stream: str, leaving: Path, coming: Path) -> None:
    """`leaving` gets the stream as before, and `coming` gets clones, until commit or abort.
    Idempotent.

    Raises InvalidMove when there is no such path or another one of the stream moves, NoPath when
    clones cannot get there now, SwitchRefused when a switch does not take their rules; then all is
    as it was, and the stream goes on.
    """
    await fabric.change(fabric.overlay.prepare(stream, leaving, coming))
    try:
        check(fabric, stream)
    except (NoPath, SwitchRefused):
        await abort(fabric, stream)
        raise


async def commit(fabric: ProgrammableFabric, stream: str) -> None:
    """The stream ends at the new place, the old way is gone. Raises as `check`, and SwitchRefused
    when a switch does not take that; then the move is under way still."""
    check(fabric, stream)
    await fabric.change(fabric.overlay.commit(stream))
    intent = fabric.overlay.intents.get(stream)
    if intent is not None and intent.rejected:
        raise SwitchRefused(intent.rejected, stream=stream)


async def abort(fabric: ProgrammableFabric, stream: str) -> None:
    """The leaf stays where it was. Raises InvalidMove without a move."""
    await fabric.change(fabric.overlay.abort(stream))


def check(fabric: ProgrammableFabric, stream: str) -> None:
    """Raises NoPath or SwitchRefused when clones do not get to the new place, InvalidMove when no
    leaf of the stream is moving."""
    overlay = fabric.overlay
    intent = overlay.intents.get(stream)
    if intent is None or intent.move is None:
        raise InvalidMove("No leaf of the stream is moving", stream=stream)
    move = intent.move
    if refused := move.refused or intent.refused:
        raise SwitchRefused(refused, stream=stream)
    why = [*overlay.obstacles(stream, move.target, fabric.observed.port_maps)]
    if not why:
        on = overlay.tree(stream).chain(move.target)
        connected = fabric.observed.connected
        why = [f"the switch of node {node} is away" for node in on if node not in connected]
    if why:
        raise NoPath(why[0], stream=stream, target=move.target)
