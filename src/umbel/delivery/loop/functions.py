"""Delivery's functions, described for compute: one media server process per function.

In: a tree's branch. Out: the function that compute is to run for it.
"""

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from umbel.compute.model import (
    Description,
    Function,
    HealthCheck,
    Port,
    Readiness,
    Reservation,
    Resources,
    Transport,
)
from umbel.delivery.model import RECORDER, Branch, Tree
from umbel.delivery.trees.view import ACQUIRER, EDGE, FORWARDER, TRANSCODER, Costs
from umbel.kit import derived_keys

OWNER = "delivery"
"""Who owns these functions in compute."""

MEDIA_COMMAND: tuple[str, ...] = (sys.executable, "-m", "umbel.media")

_SECRET = "UMBEL_MEDIA_SECRET"  # noqa: S105 -- the variable's name
_CONTROL, _UDP = Port(name="control"), Port(name="udp", transport=Transport.UDP)
_ALL = (_CONTROL, Port(name="tls"), Port(name="http"), _UDP)
PORTS: Mapping[str, tuple[Port, ...]] = {
    ACQUIRER: (*_ALL, Port(name="rtmp")),
    FORWARDER: _ALL,
    TRANSCODER: _ALL,
    EDGE: _ALL,
    RECORDER: _ALL,
}
"""What a function of each role listens on."""


def described(
    public_key: Path,
    costs: Costs,
    command: Sequence[str] = MEDIA_COMMAND,
    options: Sequence[str] = (),
) -> dict[str, Description]:
    """A media server of each role. `public_key` is the PEM file that verifies viewers' tokens,
    `command` the words that start the server, before its options; `options` more of these."""
    words = (*options, "--public-key", str(public_key))
    return {role: _described(role, costs, command, words) for role in PORTS}


def _described(
    role: str, costs: Costs, command: Sequence[str], options: Sequence[str]
) -> Description:
    ports = [
        word for port in PORTS[role] for word in (f"--{port.name}-port", f"{{ports[{port.name}]}}")
    ]
    return Description(
        name=role,
        command=(
            *command,
            *("--id", "{id}", "--role", role, "--address", "{address}"),
            *ports,
            *("--ready-file", "{ready_file}", *options),
        ),
        resources=Resources(cores=costs.cores_of(role), memory_mb=costs.mb_of(role)),
        reservation=Reservation.UNTIL_MEASURED,
        ports=PORTS[role],
        readiness=Readiness.REPORTED,
        health=HealthCheck(port=_CONTROL.name, path="/healthz"),
    )


@dataclass(frozen=True, kw_only=True)
class MediaFunctions:
    """Makes functions of branches. `secret_of` is what opens a function's control channel,
    `srtp_key_of` what protects an event's packets between functions (empty: nothing does); both
    are the same after a restart."""

    descriptions: Mapping[str, Description]
    secret_of: Callable[[str], str]
    srtp_key_of: Callable[[str], bytes] = lambda _: b""

    def wanted(self, trees: Iterable[Tree]) -> dict[str, Function]:
        """The functions of all branches by id, for accounts: they cannot be started."""
        return {b.function: self._function_for(b) for tree in trees for b in tree.branches}

    def to_run(self, trees: Iterable[Tree]) -> dict[str, Function]:
        """The functions of all branches by id, with what opens each one's control channel."""
        return {
            id_: replace(function, environment={_SECRET: self.secret_of(id_)})
            for id_, function in self.wanted(trees).items()
        }

    def record_token(self, function: str, stream: str) -> str:
        """What opens the stream's segments at a recorder: follows from the function's secret."""
        return derived_keys.token(
            self.secret_of(function).encode(), f"umbel record {stream}".encode()
        )

    def _function_for(self, branch: Branch) -> Function:
        described = self.descriptions[branch.role]
        return Function(id=branch.function, node=branch.node, description=described)
