"""A libvirtd of its own in a node's namespace: a plan and a folder in, a daemon out. Root's work.

It sees none of the machine's own libvirt: its folders, its configuration and its host name are
private. Open vSwitch's tools, by which it makes guests' ports, find the node's own switch.
Neighbours: build.py starts it; teardown.py finds it, and its guests, in the namespace.
"""

import shutil
import subprocess
import uuid
from pathlib import Path

from umbel.compute.hypervisors.model import (
    OVERLAY_BRIDGE,
    Accelerator,
    CopyAccess,
    GuestNetwork,
    Hypervisor,
)
from umbel.kit.errors import Unavailable
from umbel.testbed.plan import NodePlan

GUESTS = Path("/var/lib/umbel/testbed")
"""Where the guests of testbeds have their disks: one folder for all nodes of a testbed, so that no
disk is copied when a guest moves."""
TOOLS = ("libvirtd", "qemu-system-x86_64", "xorriso", "nsenter", "unshare")
INSTALL = "apt-get install libvirt-daemon libvirt-daemon-driver-qemu qemu-system-x86 xorriso"

_PRIVATE = ("run/libvirt", "var/lib/libvirt", "etc/libvirt", "var/log/libvirt", "var/cache/libvirt")
_ADDED = {
    "etc/passwd": "libvirt-qemu:x:64055:64055::/:/bin/false",
    "etc/group": "libvirt-qemu:x:64055:",
    "etc/hosts": "127.0.0.1 {host}",
}
"""libvirtd does not start without this user, although nothing here runs as it, and it looks its
own name up whenever a guest is copied."""
QEMU_CONF = """user = "root"
group = "root"
dynamic_ownership = 0
remember_owner = 0
security_driver = "none"
namespaces = []
cgroup_controllers = []
stdio_handler = "file"
max_core = 0
set_process_name = 0
"""
CERTIFICATES = Path("etc/libvirt/pki")
"""Where QEMU, and libvirtd where it listens, look for certificates, below the private folders."""
_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
ENVIRONMENT = {"PATH": _PATH, "LANG": "C.UTF-8"}
_START_S = 60.0


class HypervisorNotStarted(Unavailable):
    """A node's libvirtd does not start; see its log."""

    code = "umbel.testbed_hypervisor_failed"


def missing() -> list[str]:
    """The programs that are not installed."""
    return [tool for tool in TOOLS if shutil.which(tool, path=_PATH) is None]


def described(here: NodePlan, folder: Path, testbed: str) -> Hypervisor:
    """The node's hypervisor, as the platform reaches it. Guests are emulated."""
    first, last = (f"{here.guest_prefix}.{number}" for number in here.guest_numbers)
    return Hypervisor(
        name=here.name,
        uri=f"qemu+unix:///system?socket={_home(folder, here)}/run/libvirt/libvirt-sock",
        network=GuestNetwork(
            bridge=OVERLAY_BRIDGE,
            first=first,
            last=last,
            gateway=here.site.guests.partition("/")[0],
            is_open_vswitch=True,
        ),
        folder=str(GUESTS / testbed / "guests"),
        accelerator=Accelerator.TCG,
        copies=CopyAccess(address=here.management, is_plain=True),
    )


def start(folder: Path, here: NodePlan) -> None:
    """Run the node's libvirtd until it answers. Raises HypervisorNotStarted."""
    home = _home(folder, here)
    if not home.exists():
        configure(home, here.namespace)
    socket = home / "run/libvirt/libvirt-sock"
    socket.unlink(missing_ok=True)
    pid_file = folder / here.name / "libvirtd.pid"
    switch = str(folder / here.name)
    with (home / "output").open("ab") as output:
        done = subprocess.run(
            command(home, here.namespace, f"--daemon --pid-file {pid_file}"),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**ENVIRONMENT, "OVS_RUNDIR": switch, "OVS_DBDIR": switch},
            timeout=_START_S,
            check=False,
        )
    if done.returncode == 0 and socket.exists():  # it returns once it answers
        return
    said = (home / "output").read_text()[-400:].strip()
    raise HypervisorNotStarted(f"{here.name}: libvirtd does not start: {said}", node=here.name)


def command(home: Path, namespace: str, options: str) -> list[str]:
    """The words that run libvirtd in the namespace, with the folders of `home` in place of the
    machine's own, under the namespace's name as its host name."""
    mounts = "".join(f"mount --bind {home}/{one} /{one}\n" for one in (*_PRIVATE, *_ADDED))
    run = f"exec libvirtd --config {home}/libvirtd.conf {options}"
    script = f"set -e\nhostname {namespace}\n{mounts}{run}"
    words = ["nsenter", f"--net=/run/netns/{namespace}", "unshare", "-m", "-u"]
    return [*words, "--propagation", "private", "sh", "-c", script]


def configure(home: Path, host: str) -> None:
    """Make the private folders below `home`, for a host of that name."""
    for one in _PRIVATE:
        (home / one).mkdir(parents=True)
        Path(f"/{one}").mkdir(parents=True, exist_ok=True)
    for one in ("qemu", "lxc"):
        (home / "var/log/libvirt" / one).mkdir()
    for one, line in _ADDED.items():
        (home / one).write_text(f"{Path(f'/{one}').read_text()}{line.format(host=host)}\n")
    (home / CERTIFICATES).mkdir()
    qemu_conf = f'{QEMU_CONF}migrate_tls_x509_cert_dir = "/{CERTIFICATES}"\n'
    (home / "etc/libvirt/qemu.conf").write_text(qemu_conf)
    (home / "libvirtd.conf").write_text(
        f'host_uuid = "{uuid.uuid4()}"\nauth_unix_rw = "none"\nunix_sock_rw_perms = "0700"\n'
        f'log_outputs = "3:file:{home}/libvirtd.log"\n'
        f'ca_file = "/{CERTIFICATES}/ca-cert.pem"\n'
        f'cert_file = "/{CERTIFICATES}/server-cert.pem"\n'
        f'key_file = "/{CERTIFICATES}/server-key.pem"\n'
    )
    home.chmod(0o700)


def _home(folder: Path, here: NodePlan) -> Path:
    return folder / here.name / "libvirt"
