"""Nodes in OpenStack clouds in memory: every one can run functions. For tests and trials."""

from umbel.compute.clouds.model import CloudFacts, CloudNode


class FakeCloudAccess:
    """Reaches them. `cleared` are those that went, by name."""

    def __init__(self) -> None:
        self.cleared: list[str] = []

    async def look_over(self, there: CloudNode) -> CloudFacts:
        return CloudFacts(version="2.93", address="10.0.5.7", cores=20.0, memory_mb=51200)

    async def clear(self, there: CloudNode) -> None:
        self.cleared.append(there.name)
