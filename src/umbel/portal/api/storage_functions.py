"""Storage functions, for operators: where shards of the repository are, and how full that is."""

from pydantic import BaseModel

from umbel.portal import auth
from umbel.portal.api.resource import Resource
from umbel.storage.model import StorageStatus

router = Resource(prefix="/api/v1/storage-functions", tags=["nodes"])


class StorageFunctionOut(BaseModel):
    """The storage function of a node, which keeps shard number `shard` of the repository's bytes.
    `answers` says whether it can be used now; where it does not, the numbers of bytes are 0.
    `free_bytes` are free on its disk; `problem` says what is wrong, empty for nothing."""

    node: str
    shard: int
    function: str
    state: str
    address: str
    answers: bool
    used_bytes: int
    limit_bytes: int
    free_bytes: int
    problem: str


@router.get("")
async def list_storage_functions(
    system: auth.SystemDep, _operator: auth.Operator
) -> list[StorageFunctionOut]:
    """List the nodes that keep shards, in the order of the shards; empty where none is named."""
    return [_out(one) for one in await system.storage_functions.list()]


def _out(one: StorageStatus) -> StorageFunctionOut:
    usage = one.usage
    return StorageFunctionOut(
        node=one.place.node,
        shard=one.place.number,
        function=one.function,
        state=one.state.value,
        address=one.address,
        answers=usage is not None and not one.problem,
        used_bytes=usage.used_bytes if usage else 0,
        limit_bytes=usage.limit_bytes if usage else 0,
        free_bytes=usage.free_bytes if usage else 0,
        problem=one.problem,
    )
