"""What a machine says of itself, and what is wrong with it."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from umbel.compute.machines.inspection import Needs, findings, parse
from umbel.compute.machines.model import (
    BadSshTarget,
    MachineFacts,
    MachineUnfit,
    SshTarget,
    parse_target,
)

ANSWER = b"""Welcome to town!
system=debian 12
architecture=x86_64
libc=glibc 2.36
uid=0
python=3.11.2
gstreamer=1.22.0
cores=4
memory_kib=4194304
disk_kib=20971520
ports=32768\t60999
listening=32
systemd=yes
addresses=127.0.0.1 192.0.2.11 fe80::1 2001:DB8::1
clock=1000000
end=1
"""
FIT = MachineFacts(
    system="debian 12",
    architecture="x86_64",
    libc="glibc 2.36",
    uid=0,
    python="3.11.2",
    gstreamer="1.22.0",
    cores=4,
    memory_mb=4096,
    disk_mb=20480,
    clock_s=1_000_000.0,
    free_ports=28200,
    has_systemd=True,
    addresses=("127.0.0.1", "192.0.2.11", "fe80::1", "2001:DB8::1"),
)
NEEDS = Needs(
    architecture="x86_64", python="3.11", disk_mb=500, now_s=1_000_002.0, address="192.0.2.11"
)


def test_an_answer_is_read() -> None:
    assert parse(ANSWER) == FIT
    assert findings(FIT, NEEDS) == []


def test_an_ipv6_address_is_the_same_however_it_is_written() -> None:
    assert findings(FIT, replace(NEEDS, address="2001:db8:0::1")) == []


def test_all_that_is_wrong_is_said_at_once() -> None:
    worn = replace(
        FIT,
        architecture="aarch64",
        libc="musl",
        python="3.9.2",
        cores=0,
        memory_mb=100,
        disk_mb=3,
        free_ports=10,
        clock_s=1_003_602.0,
        missing=("x264enc", "tar", "unknown"),
    )
    assert findings(worn, replace(NEEDS, address="192.0.2.12")) == [
        "the processor is aarch64, the bundle is for x86_64",
        "the system has no glibc, which the bundle's libraries need",
        "there is no /usr/bin/python3.11: install python3.11",
        "the node's address 192.0.2.12 is not the machine's (192.0.2.11, 2001:db8::1)",
        "x264enc, tar not found: install gstreamer1.0-plugins-ugly tar",
        "the number of its processors is not known",
        "100 MiB of memory, 256 are needed",
        "3 MiB free on the disk, the bundle needs 500",
        "10 free ports, 64 are needed",
        "the clock is 3600 s ahead of the control plane's: "
        "synchronise it (systemd-timesyncd or chrony)",
    ]


@pytest.mark.parametrize("off_s", [-3600.0, -6.0, 6.0, 3600.0])
def test_a_clock_that_is_off_is_found(off_s: float) -> None:
    found = findings(replace(FIT, clock_s=NEEDS.now_s + off_s), NEEDS)
    assert len(found) == 1
    assert f"{abs(off_s):.0f} s {'ahead of' if off_s > 0 else 'behind'}" in found[0]


@pytest.mark.parametrize("answer", [b"", b"This account is not available.\n", ANSWER[:-7]])
def test_what_is_no_answer_is_refused(answer: bytes) -> None:
    with pytest.raises(MachineUnfit, match="POSIX shell"):
        parse(answer)


@given(st.binary(max_size=2000), st.integers(0, len(ANSWER)))
def test_any_bytes_are_facts_or_refused(noise: bytes, at: int) -> None:
    """Numbers stay within what a machine can have, and texts within what came."""
    try:
        facts = parse(ANSWER[:at] + noise + ANSWER[at:])
    except MachineUnfit:
        return
    assert 0 <= facts.free_ports <= 10**16
    assert all(0 <= n < 10**16 for n in (facts.cores, facts.memory_mb, facts.disk_mb))
    assert sum(map(len, (*facts.addresses, *facts.missing))) <= len(ANSWER) + 3 * len(noise)
    assert isinstance(findings(facts, NEEDS), list)


HOST = st.from_regex(r"[a-z][a-z0-9]{0,9}(\.[a-z][a-z0-9]{0,9}){0,3}", fullmatch=True)
USER = st.from_regex(r"[a-z_][a-z0-9_-]{0,31}", fullmatch=True)


@given(HOST | st.ip_addresses(v=6).map(str), USER, st.integers(1, 65535))
def test_a_target_is_read_as_it_is_written(host: str, user: str, port: int) -> None:
    target = SshTarget(host=host, user=user, port=port)
    assert parse_target(str(target)) == target


def test_user_and_port_have_defaults() -> None:
    assert parse_target("192.0.2.11") == SshTarget(host="192.0.2.11", user="root", port=22)


@pytest.mark.parametrize(
    "text", ["", "root@", "a b@h", "root@h:0", "root@h:99999999999", "-x@h", "@h", "h:", "r@h:22:1"]
)
def test_what_names_no_machine_is_refused(text: str) -> None:
    with pytest.raises(BadSshTarget):
        parse_target(text)


@given(st.text(max_size=400))
def test_any_text_is_a_target_or_refused(text: str) -> None:
    try:
        target = parse_target(text)
    except BadSshTarget:
        return
    assert parse_target(str(target)) == target
