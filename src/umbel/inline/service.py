"""In-line functions with an image run as guests, each at its node, and may be moved.

In: the in-line functions that operators asked for, the overlay's streams, what runs. Out: functions
of compute under the owner `inline`; where they run, the network leads their streams through them
(network/operator/functions.py). The image `relay` sends what it takes on to the stream's address.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from umbel.compute.model import (
    Description,
    Function,
    HealthCheck,
    Instance,
    Port,
    Readiness,
    Resources,
    Transport,
)
from umbel.compute.service import Compute
from umbel.kit.controller import Controller
from umbel.kit.leases import Leases
from umbel.network.service import InlineFunction, Network

OWNER = "inline"
"""Who owns these functions in compute."""

_LOOK_S = 1.0
_CONTROL = Port(name="control")


@dataclass(kw_only=True)
class InlineGuests:
    """Runs in-line functions, and is their owner when they are moved."""

    compute: Compute
    network: Network
    leases: Leases
    _controller: Controller = field(init=False)

    def __post_init__(self) -> None:
        self._controller = Controller(
            self._reconcile, lease=self.leases.acquire, standby=self._standby
        )
        self.compute.watch(lambda _: self._controller.wake(OWNER))

    async def run(self) -> None:
        """Have exactly the wanted ones run, until cancelled."""
        await self._controller.run(OWNER)

    async def wanted(self) -> Mapping[str, Function]:
        """Those that run already, and those whose stream is known: its address is given to the
        function when it starts."""
        rows = [
            one.function
            for one in await self.network.operator.functions.all()
            if one.function.image
        ]
        running = await self.compute.running() if rows else {}
        found = {one.function: self._function(one, running.get(one.function)) for one in rows}
        return {id_: function for id_, function in found.items() if function is not None}

    async def relocate(self, function_id: str, node: str) -> None:
        """The function was moved: from now on it is wanted on that node."""
        await self.network.operator.functions.relocate(function_id, node)

    async def _reconcile(self, _key: str) -> float:
        wanted = await self.wanted()
        result = await self.compute.ensure(OWNER, wanted, lambda: self.leases.check(OWNER))
        return min(_LOOK_S, result.again_s if result.again_s is not None else _LOOK_S)

    async def _standby(self, _key: str) -> float:
        self.compute.yield_to_others(OWNER)
        return _LOOK_S

    def _function(self, row: InlineFunction, runs: Instance | None) -> Function | None:
        switches = self.network.switches
        intent = switches.overlay.intents.get(row.stream) if switches is not None else None
        if intent is None and runs is None:
            return None
        stream = intent.stream if intent is not None else None
        return Function(
            id=row.function,
            node=row.node,
            description=_described(row),
            environment={
                "UMBEL_NEXT_HOPS": f"{stream.target}:{stream.port}" if stream else "",
                "UMBEL_SENDERS": stream.target if stream else "",
            },
        )


def _described(row: InlineFunction) -> Description:
    """A small guest that answers health checks, and takes the stream at its port."""
    return Description(
        name=row.image,
        image=row.image,
        resources=Resources(cores=0.25, memory_mb=128.0),
        ports=(_CONTROL, Port(name="stream", transport=Transport.UDP, number=row.port)),
        readiness=Readiness.REPORTED,
        health=HealthCheck(port=_CONTROL.name, path="/healthz"),
    )
