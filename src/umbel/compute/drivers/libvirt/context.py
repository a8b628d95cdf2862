"""What all links to hypervisors share. It imports nothing that speaks libvirt."""

from dataclasses import dataclass, field
from pathlib import Path

from umbel.compute.health import Limits
from umbel.compute.hypervisors.model import Accelerator
from umbel.compute.images.folder import Images
from umbel.kit.clock import Clock


@dataclass(frozen=True, kw_only=True)
class GuestLimits:
    """How long things may take, in seconds. A call waits `wait_s` for a connection that is being
    opened; `look_s` is how long a look at all guests may take, and `agent_s` an answer of a guest's
    agent. A copy of a running guest that does not advance for `stalled_s` is given up; a guest that
    is asked to release a disk has `release_s`. `health` has
    the limits of probes, of stopping and of sampling. A guest boots within `boot_s`, emulated ones
    too; a probe guest within `probe_s`, with KVM within `probe_kvm_s`. Emulated guests stop while
    they are copied, unless `emulated_live`: QEMU 7.2 lost what such guests wrote (decision 0123).
    """

    connect_s: float = 15.0
    wait_s: float = 3.0
    call_s: float = 30.0
    look_s: float = 10.0
    agent_s: int = 5
    copy_s: float = 900.0
    stalled_s: float = 20.0
    release_s: float = 20.0
    emulated_live: bool = False
    boot_s: float = 180.0
    probe_s: float = 60.0
    probe_kvm_s: float = 20.0
    look_every_s: float = 0.25
    health: Limits = field(default_factory=lambda: Limits(probe_deadline_s=3.0, most_misses=5))

    def copies_live(self, accelerator: Accelerator) -> bool:
        """Whether guests that run with it run while they are copied."""
        return self.emulated_live or accelerator is Accelerator.KVM


@dataclass(frozen=True, kw_only=True)
class GuestContext:
    """What all links share. `installation` is in hexadecimal, and marks hypervisors as this one's;
    `files` are the control plane's that functions read: small texts. `certificates` is the folder
    of its own for libvirt over TLS, as a URI's `pkipath`."""

    installation: str
    images: Images
    clock: Clock
    limits: GuestLimits = field(default_factory=GuestLimits)
    files: tuple[Path, ...] = ()
    ssh_keys: tuple[str, ...] = ()
    certificates: Path | None = None
