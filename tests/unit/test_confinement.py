"""The words that shut a function in on its machine."""

from dataclasses import replace

from umbel.compute.model import (
    Description,
    Function,
    Node,
    NodeKind,
    Reservation,
    Resources,
)
from umbel.compute.remote.confinement import Confinement, confined

NODE = Node(name="town", kind=NodeKind.PROVIDER_EDGE, address="192.0.2.11", cores=2, memory_mb=1024)
GUEST = Function(
    id="guest-1",
    node="town",
    description=Description(
        name="guest",
        command=("sleep", "9"),
        resources=Resources(cores=0.5, memory_mb=64),
        reservation=Reservation.ALWAYS,
    ),
    environment={"A": "b"},
)
EDGE = replace(
    GUEST,
    id="edge-1",
    description=replace(GUEST.description, reservation=Reservation.UNTIL_MEASURED),
)
HERE = Confinement(user=990, group=991, has_systemd=True, home="/opt/umbel/state/home")


def test_a_unit_has_the_limits_that_were_promised_and_the_users_rights() -> None:
    shut_in = confined(GUEST, NODE, HERE)
    assert shut_in.description.command == (
        *("systemd-run", "--scope", "--quiet", "--collect", "--unit=umbel-guest-1"),
        "--description=umbel function guest-1 of town",
        *("--property=CPUQuota=50.00%", "--property=MemoryMax=64M", "--"),
        *("setpriv", "--reuid=990", "--regid=991", "--clear-groups", "--no-new-privs"),
        *("--inh-caps=-all", "--"),
        *("systemd-cat", "--identifier=umbel-guest-1", "--", "sleep", "9"),
    )
    assert shut_in.environment == {
        "A": "b",
        "HOME": "/opt/umbel/state/home",
        "XDG_CACHE_HOME": "/opt/umbel/state/home",
    }


def test_a_function_whose_need_is_an_estimate_may_use_what_the_node_gives() -> None:
    words = confined(EDGE, NODE, HERE).description.command
    assert {"--property=CPUQuota=200.00%", "--property=MemoryMax=1024M"} <= set(words)


def test_without_systemd_the_rights_alone_are_taken() -> None:
    words = confined(GUEST, NODE, replace(HERE, has_systemd=False)).description.command
    assert words[0] == "setpriv"
    assert words[-3:] == ("--", "sleep", "9")


def test_whoever_is_not_root_changes_nothing() -> None:
    assert confined(GUEST, NODE, Confinement()) == GUEST


def test_a_function_without_a_command_is_left_to_the_vim() -> None:
    image = replace(GUEST, description=Description(name="guest", image="debian"))
    assert confined(image, NODE, HERE) == image
