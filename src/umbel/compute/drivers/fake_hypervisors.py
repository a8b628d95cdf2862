"""Hypervisors in memory: on every one a guest boots with KVM. For tests and trials."""

from umbel.compute.hypervisors.model import Accelerator, Hypervisor, HypervisorFacts


class FakeHypervisorAccess:
    """Reaches them. `cleared` are those that went, by name."""

    def __init__(self) -> None:
        self.cleared: list[str] = []

    async def look_over(self, hypervisor: Hypervisor) -> tuple[Accelerator, HypervisorFacts]:
        facts = HypervisorFacts(
            host_name=hypervisor.name, libvirt="9.0.0", cores=8, memory_mb=16384
        )
        return Accelerator.KVM, facts

    async def clear(self, hypervisor: Hypervisor) -> None:
        self.cleared.append(hypervisor.name)
