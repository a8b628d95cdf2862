"""Looks a machine over: one script there, one answer, all findings at once. Pure.

In: what `SCRIPT` wrote, run by `sh -s -- PYTHON PREFIX`. Out: MachineFacts, and what is wrong with
them in sentences. An answer has a line `key=value` for each fact; unknown keys are ignored. The
clock is read last, because a first look for GStreamer elements takes seconds.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

from umbel.compute.machines.model import MachineFacts, MachineUnfit

LONGEST_ANSWER = 64 * 1024

_PACKAGES: Mapping[str, str] = {
    "tar": "tar",
    "gzip": "gzip",
    "sha256sum": "coreutils",
    "setpriv": "util-linux",
    "useradd": "passwd",
    "gst-inspect-1.0": "gstreamer1.0-tools",
    "rtph264pay": "gstreamer1.0-plugins-good",
    "opusenc": "gstreamer1.0-plugins-base",
    "h264parse": "gstreamer1.0-plugins-bad",
    "x264enc": "gstreamer1.0-plugins-ugly",
    "avdec_h264": "gstreamer1.0-libav",
    "GstApp": "gir1.2-gst-plugins-base-1.0",
    "libgirepository-1.0": "libgirepository-1.0-1",
}
"""What functions need of a machine, and Debian's package that has it."""

SCRIPT = r"""
LC_ALL=C; export LC_ALL; PATH=$PATH:/usr/sbin:/sbin
python=$1 prefix=$2
say() { printf '%s=%s\n' "$1" "$2"; }
say system "$(. /etc/os-release 2>/dev/null; echo "${ID:-unknown} ${VERSION_ID:-}")"
say architecture "$(uname -m)"
say libc "$(getconf GNU_LIBC_VERSION 2>/dev/null)"
say uid "$(id -u)"
version='import platform; print(platform.python_version())'
say python "$("/usr/bin/python$python" -c "$version" 2>/dev/null)"
say gstreamer "$(gst-inspect-1.0 --version 2>/dev/null | sed -n 's/^GStreamer //p')"
say cores "$(nproc)"
say memory_kib "$(sed -n 's/^MemTotal: *\([0-9]*\).*/\1/p' /proc/meminfo)"
while [ ! -d "$prefix" ]; do prefix=$(dirname "$prefix"); done
say disk_kib "$(df -Pk "$prefix" | sed -n '2s/^[^ ]* *[0-9]* *[0-9]* *\([0-9-]*\).*/\1/p')"
say ports "$(cat /proc/sys/net/ipv4/ip_local_port_range)"
sockets=$(cat /proc/net/tcp /proc/net/tcp6 /proc/net/udp /proc/net/udp6 2>/dev/null)
local_port='s/^ *[0-9]*: [0-9A-F]*:\([0-9A-F]*\) .*/\1/p'
say listening "$(echo "$sockets" | sed -n "$local_port" | sort -u | wc -l)"
[ -d /run/systemd/system ] && command -v systemd-run >/dev/null && say systemd yes
address='s/.* inet6* \([^/ ]*\).*/\1/p'
say addresses "$(ip -o address 2>/dev/null | sed -n "$address" | sort -u | tr '\n' ' ')"
for tool in tar gzip sha256sum setpriv useradd gst-inspect-1.0; do
  command -v "$tool" >/dev/null || say missing "$tool"
done
for element in rtph264pay opusenc h264parse x264enc avdec_h264; do
  gst-inspect-1.0 --exists "$element" 2>/dev/null || say missing "$element"
done
ls /usr/lib/*/girepository-1.0/GstApp-1.0.typelib >/dev/null 2>&1 || say missing GstApp
ls /usr/lib/*/libgirepository-1.0.so.1 >/dev/null 2>&1 || say missing libgirepository-1.0
say clock "$(date +%s)"
say end 1
"""


@dataclass(frozen=True, kw_only=True)
class Needs:
    """What a machine is measured by: the bundle's `architecture` and `python` (3.11), what it takes
    on the disk, the `address` of its node, and what the control plane's clock says."""

    architecture: str
    python: str
    disk_mb: int
    now_s: float
    address: str = ""
    memory_mb: int = 256
    ports: int = 64
    clock_off_s: float = 5.0


def parse(answer: bytes) -> MachineFacts:
    """The script's answer. Raises MachineUnfit when it is none."""
    lines = answer[:LONGEST_ANSWER].decode("utf-8", "replace").split("\n")
    pairs = [line.partition("=")[::2] for line in lines]
    said = {key: value.strip() for key, value in pairs}
    if said.get("end") != "1":
        message = "The machine's shell does not answer as a POSIX shell does"
        raise MachineUnfit(message, problems=[message])
    low, high = [*_numbers(said.get("ports", "")), 0, 0][:2]
    used = _number(said.get("listening", ""))
    return MachineFacts(
        system=said.get("system", ""),
        architecture=said.get("architecture", ""),
        libc=said.get("libc", ""),
        uid=_number(said.get("uid", ""), absent=-1),
        python=said.get("python", ""),
        gstreamer=said.get("gstreamer", ""),
        cores=_number(said.get("cores", "")),
        memory_mb=_number(said.get("memory_kib", "")) // 1024,
        disk_mb=_number(said.get("disk_kib", "")) // 1024,
        clock_s=float(_number(said.get("clock", ""))),
        free_ports=max(0, high - low + 1 - used) if high else 0,
        has_systemd=said.get("systemd") == "yes",
        addresses=tuple(said.get("addresses", "").split()),
        missing=tuple(value.strip() for key, value in pairs if key == "missing" and value.strip()),
    )


def findings(facts: MachineFacts, needs: Needs) -> list[str]:
    """All that keeps the machine from running functions; empty when it is fit."""
    return [*_system(facts, needs), *_packages(facts), *_sizes(facts, needs), *_clock(facts, needs)]


def _system(facts: MachineFacts, needs: Needs) -> list[str]:
    wrong = []
    if facts.architecture != needs.architecture:
        wrong.append(
            f"the processor is {facts.architecture}, the bundle is for {needs.architecture}"
        )
    if not facts.libc.startswith("glibc"):
        wrong.append("the system has no glibc, which the bundle's libraries need")
    if not facts.python.startswith(f"{needs.python}."):
        wrong.append(f"there is no /usr/bin/python{needs.python}: install python{needs.python}")
    own = [one for one in map(_address, facts.addresses) if one is not None]
    wanted = _address(needs.address)
    if own and wanted is not None and not wanted.is_loopback and wanted not in own:
        have = ", ".join(str(one) for one in own if not one.is_loopback and not one.is_link_local)
        wrong.append(f"the node's address {needs.address} is not the machine's ({have})")
    return wrong


def _packages(facts: MachineFacts) -> list[str]:
    packages = sorted({_PACKAGES[one] for one in facts.missing if one in _PACKAGES})
    if not packages:
        return []
    names = ", ".join(one for one in facts.missing if one in _PACKAGES)
    return [f"{names} not found: install {' '.join(packages)}"]


def _sizes(facts: MachineFacts, needs: Needs) -> list[str]:
    wrong = []
    if facts.cores < 1:
        wrong.append("the number of its processors is not known")
    if facts.memory_mb < needs.memory_mb:
        wrong.append(f"{facts.memory_mb} MiB of memory, {needs.memory_mb} are needed")
    if facts.disk_mb < needs.disk_mb:
        wrong.append(f"{facts.disk_mb} MiB free on the disk, the bundle needs {needs.disk_mb}")
    if facts.free_ports < needs.ports:
        wrong.append(f"{facts.free_ports} free ports, {needs.ports} are needed")
    return wrong


def _clock(facts: MachineFacts, needs: Needs) -> list[str]:
    off_s = facts.clock_s - needs.now_s
    if abs(off_s) <= needs.clock_off_s:
        return []
    way = "ahead of" if off_s > 0 else "behind"
    return [
        f"the clock is {abs(off_s):.0f} s {way} the control plane's: "
        "synchronise it (systemd-timesyncd or chrony)"
    ]


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None


def _number(text: str, absent: int = 0) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else absent


def _numbers(text: str) -> list[int]:
    return [_number(word) for word in text.split()]
