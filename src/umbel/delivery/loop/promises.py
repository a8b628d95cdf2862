"""What delivery promised on the nodes, stated in compute's ledger, where every placer reads it.

In: sessions as they are stored and being stored, trees being stored, and what is observed. Out: the
ledger's entries of delivery. A decision and its promise have no await between them.
"""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from umbel.compute.model import Function, FunctionState, Instance, Resources
from umbel.compute.service import Ledger
from umbel.delivery.guidance import Watch
from umbel.delivery.loop.functions import OWNER, MediaFunctions
from umbel.delivery.model import Session, Tree
from umbel.delivery.sessions import counts as session_counts
from umbel.delivery.store import DeliveryStore
from umbel.delivery.trees.view import TRANSCODER, Costs, View
from umbel.kit.errors import Unavailable
from umbel.media.model import StreamRole, StreamState

Streams = Mapping[str, Mapping[str, StreamState]]
_KEPT_ROUNDS = 2
"""Looks for which the functions of a stored tree count by themselves: after that every reader of
trees has seen them."""


@dataclass(slots=True)
class _Placed:
    """A function of a tree that is being stored or was a moment ago, and for how many more looks
    it counts by itself."""

    function: Function
    rounds: int = _KEPT_ROUNDS


@dataclass(kw_only=True)
class Promises:
    """`sessions` are counts by stream and function, `watching` by stream, access node and the
    edge's node; both include sessions that are being stored. `late` are the viewers by function
    who did not watch yet when promises were last stated."""

    ledger: Ledger
    store: DeliveryStore
    functions: MediaFunctions
    costs: Costs
    sessions: dict[tuple[str, str], int] = field(default_factory=dict)
    watching: dict[Watch, int] = field(default_factory=dict)
    late: dict[str, int] = field(default_factory=dict)
    _storing: dict[str, Session] = field(default_factory=dict)
    _reading: list[dict[str, Session]] = field(default_factory=list)
    _placing: dict[str, dict[str, _Placed]] = field(default_factory=dict)

    def at(self, node: str) -> int:
        """How many sessions are known at the node's edges."""
        return sum(count for (_, _, edge), count in self.watching.items() if edge == node)

    async def refresh(self) -> None:
        """Read the stored sessions. One that is being stored may count twice for a moment, but
        never not at all."""
        since = dict(self._storing)
        self._reading.append(since)
        try:
            counts = await self.store.counts()
        finally:
            self._reading = [one for one in self._reading if one is not since]
        self.sessions = session_counts.by_function(counts)
        self.watching = session_counts.by_nodes(counts)
        for session in since.values():
            self.count(session, 1)
        for stream, placed in list(self._placing.items()):
            for one in placed.values():
                one.rounds -= 1
            self._keep(stream, {id_: one for id_, one in placed.items() if one.rounds})

    def count(self, session: Session, more: int) -> None:
        """Count a session in or out before the next refresh does."""
        key = (session.stream, session.function)
        self.sessions[key] = max(0, self.sessions.get(key, 0) + more)
        watch = (session.stream, session.access_node, session.edge_node)
        self.watching[watch] = max(0, self.watching.get(watch, 0) + more)

    @contextmanager
    def storing(self, session: Session, mbps: float) -> Iterator[None]:
        """Count a session of that rate while it is being stored, so that no other session is
        promised the same room; stop counting it if that fails. Where the database did not answer,
        the session may be stored: the next refresh shows it."""
        viewer = Resources(cores=self.costs.viewer_cores, mbps=mbps)
        self._storing[session.id] = session
        for since in self._reading:
            since[session.id] = session
        self.count(session, 1)
        self.ledger.add(OWNER, {session.edge_node: viewer})
        try:
            yield
        except Unavailable:
            raise
        except Exception:
            self.count(session, -1)
            self.ledger.add(OWNER, {session.edge_node: Resources() - viewer})
            raise
        finally:
            del self._storing[session.id]

    @contextmanager
    def placing(self, tree: Tree, *, is_new: bool = True) -> Iterator[None]:
        """Count the functions of a tree while it is being stored, and until all have read it; and
        no more if that fails. Once it is stored, what only the stream's earlier trees had counts no
        more. Not `is_new`: it is stored already, and there may be a later one."""
        stream, functions = tree.stream, self.functions.wanted([tree])
        before = self._placing.get(stream, {})
        self._placing[stream] = {**before, **{i: _Placed(f) for i, f in functions.items()}}
        self.ledger.expect_also(OWNER, functions)
        try:
            yield
        except BaseException:
            self._drop(stream, functions.keys() - before.keys())
            raise
        if is_new:
            # A tree replaces the one that it was made of: others that are on their way will fail.
            self._drop(stream, before.keys() - functions.keys())

    def _drop(self, stream: str, ids: Collection[str]) -> None:
        placed = self._placing.get(stream, {})
        self._keep(stream, {id_: one for id_, one in placed.items() if id_ not in ids})

    def _keep(self, stream: str, placed: dict[str, _Placed]) -> None:
        if placed:
            self._placing[stream] = placed
        else:
            self._placing.pop(stream, None)

    def state(self, view: View, instances: Mapping[str, Instance], streams: Streams) -> None:
        """State all promises: functions that trees want, transcoders that do not send yet, rates
        that functions send, and viewers who do not watch yet."""
        wanted = self.functions.wanted(view.trees.values())
        placed = {i: one.function for some in self._placing.values() for i, one in some.items()}
        self.ledger.expect(OWNER, placed | wanted)
        by_node: dict[str, Resources] = {}
        for id_, instance in instances.items():
            amount = self._beyond_cpu(view, instance, streams.get(id_, {}))
            by_node[instance.node] = by_node.get(instance.node, Resources()) + amount
        self.late = {}
        for (stream, id_), count in self.sessions.items():
            place = instances.get(id_) or wanted.get(id_)
            late = count - _seen(instances.get(id_), streams.get(id_, {}).get(stream))
            if place is not None and late > 0:
                self.late[id_] = self.late.get(id_, 0) + late
                amount = Resources(
                    cores=late * self.costs.viewer_cores, mbps=late * view.mbps(stream)
                )
                by_node[place.node] = by_node.get(place.node, Resources()) + amount
        self.ledger.promise(OWNER, by_node)

    def _beyond_cpu(
        self, view: View, instance: Instance, states: Mapping[str, StreamState]
    ) -> Resources:
        # A viewer keeps its rate while the encoder is silent; so does who pulls a recording.
        rates = (max(s.mbps_out, _takers(s) * view.mbps(s.stream)) for s in states.values())
        sent = Resources(mbps=sum(rates))
        is_active = instance.state is FunctionState.ACTIVE
        if instance.description != TRANSCODER or not is_active:
            return sent
        if any(state.flowing for state in states.values()):
            return sent
        return sent + self.functions.descriptions[TRANSCODER].resources


def _takers(state: StreamState) -> int:
    return len(state.viewers) + (state.role is StreamRole.RECORDER)


def _seen(instance: Instance | None, state: StreamState | None) -> int:
    """How many viewers the function has."""
    if instance is None or instance.state is not FunctionState.ACTIVE or state is None:
        return 0
    return len(state.viewers)
