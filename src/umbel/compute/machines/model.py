"""A machine as a value, what was found of it, and what can be wrong with it."""

import base64
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass

from umbel.kit import hosts
from umbel.kit.errors import Conflict, Exhausted, Invalid, NotFound, Unavailable, Unprocessable

_TARGET = re.compile(r"(?:(?P<user>[^@\s]+)@)?(?P<host>\[[^\]]+\]|[^:@\s\[\]]+)(?::(?P<port>\d+))?")
_USER = re.compile(r"[a-z_][a-z0-9_-]{0,31}")


HOSTS_POOL = "hosts"
"""The pool of a machine that names none."""
Progress = Callable[[int, int], None]
"""Hears how many bytes of how many were copied."""


class BadSshTarget(Invalid):
    """This names no machine; write USER@HOST or USER@HOST:PORT."""

    code = "umbel.bad_ssh_target"


class MachineUnreachable(Unavailable):
    """The machine does not answer over SSH."""

    code = "umbel.machine_unreachable"


class SshAccessDenied(Unavailable):
    """The machine refuses the platform's key."""

    code = "umbel.ssh_access_denied"


class HostKeyChanged(Conflict):
    """The machine has another host key than when it was added: it is not the same machine, or
    somebody is between."""

    code = "umbel.host_key_changed"


class MachineUnfit(Unprocessable):
    """The machine cannot run functions as it is; `problems` lists all that is wrong."""

    code = "umbel.machine_unfit"


class NoSuchMachine(NotFound):
    """No machine has this name."""

    code = "umbel.no_such_machine"


class MachineExists(Conflict):
    """A machine has this name already, or is reached at this address."""

    code = "umbel.machine_exists"


class MachineInUse(Conflict):
    """Functions run on the machine; drain and remove its node first."""

    code = "umbel.machine_in_use"


class MachineDiskFull(Exhausted):
    """The machine's disk is full."""

    code = "umbel.machine_disk_full"


class InstallFailed(Unavailable):
    """Files or the bundle could not be installed on the machine."""

    code = "umbel.install_failed"


@dataclass(frozen=True, kw_only=True)
class SshTarget:
    """Where a machine's SSH server is, and as whom to sign in there."""

    host: str
    user: str = "root"
    port: int = 22

    def __str__(self) -> str:
        return f"{self.user}@{hosts.in_url(self.host)}:{self.port}"


def parse_target(text: str) -> SshTarget:
    """USER@HOST[:PORT], an IPv6 address in brackets. Raises BadSshTarget."""
    found = _TARGET.fullmatch(text)
    if found is None or len(text) > 300:
        raise BadSshTarget(f"{text[:300]!r} is not USER@HOST or USER@HOST:PORT")
    user, port = found["user"] or "root", int((found["port"] or "22")[:6])
    if _USER.fullmatch(user) is None or not 0 < port < 65536:
        raise BadSshTarget(f"{text!r} has no valid user name or port")
    try:
        host = hosts.check(found["host"].strip("[]"))
    except ValueError as error:
        raise BadSshTarget(f"{found['host']!r} is no address and no host name") from error
    return SshTarget(host=host, user=user, port=port)


def fingerprint(host_key: str) -> str:
    """The host key's fingerprint as OpenSSH shows it, such as SHA256:47DE...; of a key in
    OpenSSH's public form."""
    blob = base64.b64decode(host_key.split()[1])
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


@dataclass(frozen=True, kw_only=True)
class MachineFacts:
    """What a machine said of itself. `clock_s` is seconds since the epoch; `python` the version of
    the interpreter found, empty for none; `missing` are programs and GStreamer elements that are
    not there; `free_ports` how many of the ports that the kernel chooses from are not in use."""

    system: str = ""
    architecture: str = ""
    libc: str = ""
    uid: int = 0
    python: str = ""
    gstreamer: str = ""
    cores: int = 0
    memory_mb: int = 0
    disk_mb: int = 0
    clock_s: float = 0.0
    free_ports: int = 0
    has_systemd: bool = False
    addresses: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Where things are on a machine."""

    prefix: str

    @property
    def state(self) -> str:
        """Records and logs of functions; they outlive bundles."""
        return f"{self.prefix}/state"

    @property
    def files(self) -> str:
        """What functions read, such as the key that verifies viewers' tokens."""
        return f"{self.prefix}/files"

    @property
    def bundles(self) -> str:
        """A folder for each installed bundle."""
        return f"{self.prefix}/bundles"

    def python(self, bundle: str) -> str:
        """The interpreter of a bundle."""
        return f"{self.bundles}/{bundle}/bin/python"


@dataclass(frozen=True, kw_only=True)
class Machine:
    """A machine that was added. `name` is its node's; `host_key` was pinned at the first
    connection (OpenSSH's public form); `bundle` is what is installed and used there, empty for
    none yet. All that is ours is under `prefix`. `run_as` runs functions where the platform
    signs in as root; empty: root does."""

    name: str
    pool: str
    target: SshTarget
    host_key: str
    bundle: str = ""
    prefix: str = "/opt/umbel"
    run_as: str = "umbel-node"

    @property
    def layout(self) -> Layout:
        """Where things are on it."""
        return Layout(prefix=self.prefix)
