"""What the functions of one tree do now, as the reconciler needs it.

In: the collector's last view of the world. Out: an `Observed` for `trees/reconcile.py`.
"""

from collections.abc import Mapping

from umbel.delivery.loop.collector import Collector
from umbel.delivery.model import Branch, Tree
from umbel.delivery.trees import renditions
from umbel.delivery.trees.reconcile import Access, Carried, Observed
from umbel.delivery.trees.view import TRANSCODER
from umbel.media.model import StreamRole


def observed(collector: Collector, tree: Tree, sent: Mapping[str, Access]) -> Observed:
    """The stream's state for the reconciler; `sent` is what each function last got about who is
    let in. Of a transcoder that takes it, what it does with the stream that it makes."""
    running = collector.running()
    taken = {
        b.function: _made_of(collector, b.function, tree.stream)
        for b in tree.branches
        if b.role == TRANSCODER and b.parent
    }
    carried = {
        function: Carried(
            role=state.role.value,
            address=collector.instances[function].address,
            port=state.port,
            sources=frozenset(state.sources),
            targets=frozenset((hop.address, hop.port) for hop in state.hops),
            keys=sent.get(function, Access()).keys,
            revoked=sent.get(function, Access()).revoked,
            srtp_key_id=state.srtp_key_id,
            is_over=state.is_over,
            is_held=state.is_held,
        )
        for function in running
        if (state := collector.streams[function].get(taken.get(function, tree.stream))) is not None
    }
    addresses = {branch.function: _address(collector, branch) for branch in tree.branches}
    addresses |= {function: collector.instances[function].address for function in carried}
    silent = running - collector.answering()
    return Observed(active=running, addresses=addresses, carried=carried, silent=silent)


def _made_of(collector: Collector, function: str, source: str) -> str:
    """The rendition of the stream that the function makes."""
    states = collector.streams.get(function, {}).values()
    made = (s.stream for s in states if s.role is StreamRole.TRANSCODER)
    return next((s for s in made if renditions.event_of(s) == source), "")


def _address(collector: Collector, branch: Branch) -> str:
    """The address of the branch's function: before it runs, its node's."""
    instance = collector.instances.get(branch.function)
    if instance is not None:
        return instance.address
    return next((n.address for n in collector.compute.nodes() if n.name == branch.node), "")
