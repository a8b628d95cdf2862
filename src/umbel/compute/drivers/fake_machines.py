"""Machines in memory: every one is fit, and a bundle is there at once. For tests and trials."""

from platform import machine as architecture

from umbel.compute.machines.bundle import PYTHON, Bundle
from umbel.compute.machines.model import Machine, MachineFacts, Progress, SshTarget
from umbel.kit.clock import Clock

_HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"


class FakeAccess:
    """Reaches them. `installed` are the bundles by machine."""

    public_key = f"{_HOST_KEY} fake"

    def __init__(self, clock: Clock) -> None:
        self.installed: dict[str, str] = {}
        self._clock = clock

    async def newest(self) -> Bundle:
        return Bundle(id="fake-1", files={}, size=0)

    async def look_over(
        self, target: SshTarget, prefix: str, host_key: str = ""
    ) -> tuple[str, MachineFacts]:
        facts = MachineFacts(
            system="fake 1",
            architecture=architecture(),
            libc="glibc 2.36",
            python=f"{PYTHON}.0",
            gstreamer="1.22.0",
            cores=4,
            memory_mb=4096,
            disk_mb=100_000,
            clock_s=self._clock.now_s(),
            free_ports=20_000,
        )
        return host_key or _HOST_KEY, facts

    async def install(self, machine: Machine, bundle: Bundle, progress: Progress) -> None:
        progress(1, 1)
        self.installed[machine.name] = bundle.id

    async def collect(self, machine: Machine) -> None:
        """There is nothing that could be left."""

    async def uninstall(self, machine: Machine) -> None:
        self.installed.pop(machine.name, None)
