"""What all links to machines share. It imports nothing that speaks SSH, which loads slowly."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from umbel.compute.drivers.ssh.keys import SshKey
from umbel.compute.machines.model import Machine
from umbel.kit.clock import Clock


@dataclass(frozen=True, kw_only=True)
class SshLimits:
    """How long a machine may take. A dead connection is noticed after `keep_alive_s` times
    `keep_alives`."""

    connect_s: float = 10.0
    keep_alive_s: float = 5.0
    keep_alives: int = 3


@dataclass(frozen=True, kw_only=True)
class LinkLimits:
    """How long things may take. `wait_s`: how long a call waits for a session that is being
    opened."""

    ssh: SshLimits = field(default_factory=SshLimits)
    wait_s: float = 5.0
    call_s: float = 30.0


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What all links share. `files` are the control plane's that functions read."""

    key: SshKey
    clock: Clock
    limits: LinkLimits = field(default_factory=LinkLimits)
    files: tuple[Path, ...] = ()

    def remote_files(self, machine: Machine) -> Mapping[Path, str]:
        """Where each file is on the machine; another content has another name."""
        return {
            path: f"{machine.layout.files}/{sha256(path.read_bytes()).hexdigest()[:16]}-{path.name}"
            for path in self.files
        }
