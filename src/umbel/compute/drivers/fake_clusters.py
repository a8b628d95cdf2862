"""Nodes of Kubernetes clusters in memory: every one can run functions. For tests and trials."""

from umbel.compute.clusters.model import ClusterFacts, ClusterNode


class FakeClusterAccess:
    """Reaches them. `cleared` are those that went, by name."""

    def __init__(self) -> None:
        self.cleared: list[str] = []

    async def look_over(self, there: ClusterNode) -> ClusterFacts:
        return ClusterFacts(version="v1.34.1", addresses=("10.0.4.7",), cores=7.5, memory_mb=15000)

    async def clear(self, there: ClusterNode) -> None:
        self.cleared.append(there.name)
