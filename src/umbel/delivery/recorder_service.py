"""Where the streams' recorders are, for who pulls what they have.

In: the stored trees, and what is observed. Out: an address and a token by stream, or why there is
no recorder. Any instance can answer. Neighbours: the recordings' owner pulls and says which streams
it wants (`loop/recordings.py`); the loop keeps the recorders.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from umbel.delivery.loop.recordings import Recordings
from umbel.delivery.model import RecorderAt, Tree
from umbel.delivery.policy import recorders
from umbel.delivery.store import DeliveryStore
from umbel.delivery.trees import renditions
from umbel.kit.signal import Signal


@dataclass(kw_only=True)
class RecorderService:
    """The recorders of all streams. `changed` is notified when something may be another."""

    store: DeliveryStore
    recordings: Recordings
    changed: Signal
    wake: Callable[[str], None]

    async def all(self) -> Mapping[str, RecorderAt]:
        """Where each stream is pulled now. While another recorder takes over it is the one before,
        until that has given all it had."""
        found = {s: self._at(tree) for s, tree in (await self.store.trees()).items()}
        return {stream: at for stream, at in found.items() if at is not None}

    async def lacking(self, streams: Collection[str]) -> Mapping[str, str]:
        """Why there is no room for a recorder, of those of the streams that have none."""
        trees = await self.store.trees() if streams else {}
        bare = [s for s in streams if s not in trees or not recorders.of(trees[s])]
        found = {s: self.recordings.shortage(trees, s) for s in sorted(bare)}
        return {stream: why for stream, why in found.items() if why}

    async def stream(self, event_id: str, quality: str) -> str:
        """The stream that is recorded for the quality. Raises NoSuchQuality where the event is not
        on offer in it, and for VP8, which recorders do not take."""
        stream = renditions.stream_of(event_id, quality)
        if quality != renditions.SOURCE:
            source = (await self.store.trees()).get(event_id) or Tree(stream=event_id)
            renditions.check_codec(stream, vp8=False)
            renditions.check(stream, self.recordings.collector.height(source))
        return stream

    def demand_changed(self, stream: str) -> None:
        """Another stream, or this one no more, is to be recorded: act now. Other instances hear of
        it by a change of the kind `recording` in the journal."""
        self.wake(stream)

    def _at(self, tree: Tree) -> RecorderAt | None:
        collector = self.recordings.collector
        for branch in recorders.of(tree)[:1]:
            state = collector.stream(branch.function, tree.stream)
            url = dict(state.urls).get("record") if state is not None else None
            if state is not None and url:
                return RecorderAt(
                    stream=tree.stream,
                    function=branch.function,
                    node=branch.node,
                    url=url,
                    token=collector.media_functions.record_token(branch.function, tree.stream),
                    is_over=state.is_over,
                )
        return None
