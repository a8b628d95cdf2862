"""Where shards are to be kept, and what there is of that."""

from dataclasses import dataclass

from umbel.compute.model import FunctionState
from umbel.repository.node_storage.messages import NodeUsage


@dataclass(frozen=True, kw_only=True)
class ShardPlace:
    """The node that keeps shard `number` of every blob."""

    node: str
    number: int


@dataclass(frozen=True, kw_only=True)
class StorageStatus:
    """A storage function as it is seen now. `usage` is what it says itself, None where it does not
    answer; `problem` says why, or what else keeps it from its work."""

    place: ShardPlace
    function: str
    state: FunctionState
    address: str = ""
    usage: NodeUsage | None = None
    problem: str = ""
