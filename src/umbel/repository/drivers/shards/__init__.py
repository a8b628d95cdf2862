"""Blobs as k data and m parity shards at k + m other storages: m of them may be lost."""

from umbel.repository.drivers.shards.storage import ShardStorage

__all__ = ["ShardStorage"]
