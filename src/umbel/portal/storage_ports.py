"""What the portal needs of storage functions. Neighbour: ports.py has what it needs of all else."""

from collections.abc import Sequence
from typing import Protocol

from umbel.storage.model import StorageStatus


class ListingStorage(Protocol):
    """For operators: which nodes keep shards of the repository."""

    async def list(self) -> Sequence[StorageStatus]:
        """Every node that is named for it, in the order of the shards, as it answers now."""
