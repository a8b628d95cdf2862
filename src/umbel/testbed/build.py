"""Makes a testbed: a plan in; namespaces, devices and switches out. Root's work, and blocking.

script.py makes the commands of `ip`; teardown.py takes everything away again, also what a crash
left.
Nodes come up in parallel, each by one thread that works inside its namespace.
"""

import fcntl
import os
import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from ipaddress import IPv4Network
from pathlib import Path
from typing import TypeVar

from umbel.kit import netns
from umbel.kit.errors import Conflict, Exhausted, Forbidden, Unavailable
from umbel.testbed import hypervisor, offload, plan, script, shaping, state, teardown
from umbel.testbed.plan import GuestSettings, HostPlan, NodePlan, Plan
from umbel.testbed.state import State

SCHEMA = Path("/usr/share/openvswitch/vswitch.ovsschema")
INSTALL = "apt-get install openvswitch-switch iproute2"

_TOOLS = ("ip", "tc", "ovsdb-tool", "ovsdb-server", "ovs-vswitchd")
_AT_ONCE = 4
_COMMAND_S = 60.0
_KINDS = frozenset(
    {"local", "broadcast", "unicast", "multicast", "anycast", "unreachable", "blackhole"}
    | {"prohibit", "throw"}
)
_NEW_DATABASE = '["Open_vSwitch",{"op":"insert","table":"Open_vSwitch","row":{}}]'

Thing = TypeVar("Thing")
Progress = Callable[[str, int, int], None]
"""Told of a step's name, how much of it is done, and how much there is."""


class NotRoot(Forbidden):
    """Only root can make and remove network namespaces."""

    code = "umbel.not_root"


class ToolMissing(Unavailable):
    """A program that the testbed needs is not installed."""

    code = "umbel.tool_missing"


class NameInUse(Conflict):
    """A testbed with this name exists, or parts of it are left."""

    code = "umbel.testbed_in_use"


class NoFreeNetwork(Exhausted):
    """None of 10.96.0.0/16 to 10.127.0.0/16 is free for the testbed's management network."""

    code = "umbel.no_free_network"


class SetUpFailed(Unavailable):
    """The testbed could not be set up."""

    code = "umbel.testbed_failed"


def check_root() -> None:
    """Raises NotRoot."""
    if os.geteuid() != 0:
        raise NotRoot


def check(*, with_guests: bool = False) -> None:
    """Raises NotRoot, or ToolMissing with the way to install what is missing."""
    check_root()
    if with_guests and (absent := hypervisor.missing()):
        text = f"{', '.join(absent)} not found; on Debian: {hypervisor.INSTALL}"
        raise ToolMissing(text, missing=absent)
    missing = [tool for tool in _TOOLS if shutil.which(tool) is None]
    if not SCHEMA.exists():
        missing.append(str(SCHEMA))
    if missing:
        text = f"{', '.join(missing)} not found; on Debian: {INSTALL}"
        raise ToolMissing(text, missing=missing)


def up(
    document: object,
    name: str,
    *,
    folder: Path | None = None,
    guests: GuestSettings = GuestSettings(),
    progress: Progress = lambda step, done, total: None,
) -> Plan:
    """Make the testbed of a network document; its files go to `folder`, else to its place under
    /run. What was made is taken away again when anything fails or interrupts.

    Raises NotRoot, ToolMissing, BadNetwork, BadTestbedName, NameInUse, NoFreeNetwork,
    SetUpFailed.
    """
    # Before anything is made, all that is wrong with it.
    wanted = plan.plan(document, name, plan.OCTETS[0], guests)
    check(with_guests=wanted.has_guests)
    folder = folder or state.FOLDER / name
    with _or_nothing(name, folder):
        testbed = _begin(document, name, folder, guests)
        _make(testbed, folder, progress)
    return testbed


def restore_addresses(testbed: Plan, here: NodePlan) -> None:
    """Give the switch's own ports of a node their addresses again, after they were removed and
    made again. Raises SetUpFailed."""
    netns.inside(here.namespace, lambda: _ip(script.switch_addresses(testbed, here)))


def start_daemon(folder: Path, here: NodePlan, program: str) -> None:
    """Start a node's ovsdb-server or ovs-vswitchd (again). Raises SetUpFailed."""
    home = folder / here.name
    if program == "ovsdb-server":
        words = [
            str(home / "conf.db"),
            f"--remote=punix:{home}/db.sock",
            f"--remote=ptcp:{plan.OVSDB_PORT}:{here.management}",
        ]
    else:
        words = [f"unix:{home}/db.sock"]
    command = [
        *(program, *words, "--detach", "--no-chdir", "-vconsole:off"),
        *(f"--unixctl={home}/{program}.ctl", f"--pidfile={home}/{program}.pid"),
        f"--log-file={home}/{program}.log",
    ]
    netns.inside(here.namespace, lambda: _run(command, env=environment(folder, here.name)))


def environment(folder: Path, node: str) -> dict[str, str]:
    """Ours, so that Open vSwitch's own tools find the switch of that node."""
    home = str(folder / node)
    return {**os.environ, "OVS_RUNDIR": home, "OVS_LOGDIR": home, "OVS_DBDIR": home}


@contextmanager
def _or_nothing(name: str, folder: Path) -> Iterator[None]:
    """What fails or is interrupted leaves nothing behind, and nothing that was there is touched."""
    try:
        yield
    except NameInUse:
        raise
    except BaseException:
        teardown.down(name, folder)
        raise


def _begin(document: object, name: str, folder: Path, guests: GuestSettings) -> Plan:
    """Choose the management network, note it, and make it."""
    with _one_at_a_time():
        if teardown.find(name, folder).anything:
            text = f"Testbed {name} is there already, or was not taken down: umbel testbed down"
            raise NameInUse(f"{text} --name {name}", name=name)
        octet = plan.free_octet(_networks_in_use())
        if octet is None:
            raise NoFreeNetwork
        testbed = plan.plan(document, name, octet, guests)
        teardown.forget_rules()
        folder.mkdir(parents=True, mode=0o755)
        state.write(folder, State(name=name, octet=octet))
        _ip(script.management(testbed))
    return testbed


def _make(testbed: Plan, folder: Path, progress: Progress) -> None:
    progress("namespaces", 0, 3)
    _ip(script.namespaces(testbed))
    progress("namespaces", 1, 3)
    for node in testbed.nodes:
        netns.inside(node.namespace, lambda: _set(script.NODE_SYSCTLS))
    for host in testbed.hosts:
        netns.inside(host.namespace, lambda: _set(script.HOST_SYSCTLS))
    progress("namespaces", 2, 3)
    _ip(script.cables(testbed))
    progress("namespaces", 3, 3)
    template = _new_database(folder)
    at = {node.name: node for node in testbed.nodes}
    _all("hosts", testbed.hosts, lambda host: _make_host(host, at[host.node]), progress)
    _all("nodes", testbed.nodes, lambda node: _make_node(testbed, node, folder, template), progress)
    template.unlink()
    if testbed.has_guests:
        _all("hypervisors", testbed.nodes, lambda node: hypervisor.start(folder, node), progress)
    state.write_sites(folder, testbed)
    noted = state.pids(folder, tuple(node.name for node in testbed.nodes))
    state.write(folder, State(name=testbed.name, octet=testbed.octet, complete=True, pids=noted))


def _all(
    step: str, things: Sequence[Thing], make: Callable[[Thing], None], progress: Progress
) -> None:
    """Make them a few at once. The first failure is raised once those under way are done."""
    progress(step, 0, len(things))
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        try:
            for done, _ in enumerate(pool.map(make, things), start=1):
                progress(step, done, len(things))
        finally:
            pool.shutdown(cancel_futures=True)


def _make_node(testbed: Plan, here: NodePlan, folder: Path, template: Path) -> None:
    home = folder / here.name
    home.mkdir(mode=0o755)
    shutil.copyfile(template, home / "conf.db")

    def make_devices() -> None:
        _ip(script.node(testbed, here))
        own = (cable.device for cable in here.cables if not cable.outer)
        for device in (*own, *here.site.hosts):
            offload.tx_checksums_off(device)
        lines = [line for c in here.cables for line in shaping.root_qdisc(c.wire, c.mbps)]
        _batch("tc", lines)
        if here.site.guests:
            _set(script.GUEST_SYSCTLS)

    netns.inside(here.namespace, make_devices)
    for program in state.DAEMONS:
        start_daemon(folder, here, program)


def _make_host(here: HostPlan, node: NodePlan) -> None:
    def make_devices() -> None:
        _ip(script.host(here, node))
        offload.tx_checksums_off("eth0")

    netns.inside(here.namespace, make_devices)


def _new_database(folder: Path) -> Path:
    """A database with its one root row, which every switch starts from a copy of."""
    path = folder / "template.db"
    _run(["ovsdb-tool", "create", str(path), str(SCHEMA)])
    _run(["ovsdb-tool", "transact", str(path), _NEW_DATABASE])
    return path


def _set(sysctls: Mapping[str, str]) -> None:
    """In the calling thread's namespace. IPv6 may be missing altogether."""
    for key, value in sysctls.items():
        path = Path("/proc/sys") / key
        if path.exists() or "ipv6" not in key:
            path.write_text(value)


def _networks_in_use() -> Iterator[IPv4Network]:
    """What the root namespace's routes lead to, its own addresses among them."""
    for line in _run(["ip", "-4", "route", "show", "table", "all"]).splitlines():
        words = line.split()
        text = words[1] if words[0] in _KINDS else words[0]
        if text != "default":
            yield IPv4Network(text, strict=False)


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    """No two testbeds choose a network at once. The lock is on a folder that is always there, so
    that nothing of it stays."""
    handle = os.open("/run", os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _ip(lines: Iterable[str]) -> None:
    _batch("ip", lines)


def _batch(tool: str, lines: Iterable[str]) -> None:
    _run([tool, "-batch", "-"], "".join(f"{line}\n" for line in lines))


def _run(command: Sequence[str], text: str = "", *, env: Mapping[str, str] | None = None) -> str:
    """What a command printed. Raises SetUpFailed with what it said."""
    try:
        done = subprocess.run(
            command,
            input=text,
            capture_output=True,
            text=True,
            env=env,
            timeout=_COMMAND_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SetUpFailed(f"{command[0]}: {error}") from error
    if done.returncode != 0:
        said = " ".join(done.stderr.split())
        raise SetUpFailed(f"{command[0]} failed: {said}", command=list(command))
    return done.stdout
