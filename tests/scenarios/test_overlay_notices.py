"""Everything an overlay tells, from switches in memory to a real receiver over HTTP."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support.overlaid import overlaid
from support.overlay_run import DRAWING, LINKS
from support.receiver import Receiver, receiving, response
from support.switchboard import World as Wires
from support.waiting import until
from support.world import World
from umbel.network import events
from umbel.network.drivers.openflow.fabric import OpenFlowFabric
from umbel.network.overlay.spanning import Drawing
from umbel.notify import signing
from umbel.notify.drivers.http import HttpCourier
from umbel.notify.model import Kind


@dataclass
class Here:
    """A platform over an overlay, and who is told of it."""

    platform: World
    wires: Wires
    fabric: OpenFlowFabric
    receiver: Receiver
    seen: list[events.Event] = field(default_factory=list)

    def told(self) -> list[dict[str, Any]]:
        """What was posted, each notice once."""
        bodies = [json.loads(body) for _, body in self.receiver.posted]
        return list({body["sequence"]: body for body in bodies}.values())

    async def until_told(self, kind: Kind, **fields: object) -> dict[str, Any]:
        async def found() -> list[dict[str, Any]]:
            return [
                one
                for one in self.told()
                if one["kind"] == kind and fields.items() <= one["body"].items()
            ]

        return (await until(found, bool))[-1]


@asynccontextmanager
async def here(folder: Path) -> AsyncIterator[Here]:
    courier = HttpCourier()
    async with receiving() as receiver, overlaid(folder, courier=courier) as made:
        it = Here(made.platform, made.wires, made.fabric, receiver)
        made.fabric.watch(it.seen.append)
        task = asyncio.create_task(made.platform.system.notifier.run())
        try:
            yield it
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            await courier.close()


async def test_every_kind_of_event_is_posted_in_order_and_signed(tmp_path: Path) -> None:
    async with here(tmp_path) as it:
        notifier = it.platform.system.notifier
        it.receiver.script.append(response(503))  # the first is to be sent again
        _, secret = await notifier.register(it.receiver.url, list(Kind))
        await it.fabric.start()
        await it.until_told(Kind.SWITCH_UP, node="c2")

        event = await it.platform.live("pe1")
        acquirer = await it.until_told(Kind.FUNCTION_APPEARED, node="pe1", role="acquirer")
        ticket = await it.platform.watch(event, "pe3")
        edge = await it.until_told(Kind.FUNCTION_APPEARED, node="pe3", role="edge")
        await it.until_told(Kind.PORT_ADDED, node="pe3", name="to-c1")
        await it.until_told(Kind.PATH_CHANGED, links=[["pe1", "c1"], ["c1", "pe3"]], error="")

        it.wires.lose("c1", "pe3")
        await it.until_told(Kind.LINK_DOWN, a="c1", b="pe3")
        round_about = [["pe1", "c1"], ["c1", "c2"], ["c2", "pe3"]]
        await it.until_told(Kind.PATH_CHANGED, links=round_about, error="")
        it.wires.restore("c1", "pe3")
        await it.until_told(Kind.LINK_UP, a="c1", b="pe3")

        it.wires.leave("pe5")
        await it.until_told(Kind.SWITCH_DOWN, node="pe5")

        await it.platform.kill(ticket.session.function)
        await it.until_told(Kind.FUNCTION_LEFT, function=edge["body"]["function"])
        assert acquirer["body"]["function"] != edge["body"]["function"]

        without = Drawing(roles=DRAWING.roles, links=LINKS[1:2])
        await it.fabric.change(it.fabric.overlay.draw(without))
        await it.until_told(Kind.PORT_REMOVED, node="pe3", name="to-c2")

        await until(lambda: _count(it), lambda counts: counts[0] == counts[1])
        told = it.told()
        assert {one["kind"] for one in told} == set(Kind)
        assert [one["sequence"] for one in told] == list(range(1, len(told) + 1))
        assert [one["id"] for one in told] == sorted({one["id"] for one in told})
        of_network = [one for one in told if not one["kind"].startswith("function")]
        assert [(one["kind"], one["body"]) for one in of_network] == [
            (one.kind, json.loads(json.dumps(events.body(one)))) for one in it.seen
        ]
        sequences = [json.loads(body)["sequence"] for _, body in it.receiver.posted]
        assert sequences == [1, *range(1, len(told) + 1)]
        for head, body in it.receiver.posted:
            signed = head.lower().partition(b"umbel-signature: ")[2].partition(b"\r\n")[0]
            signing.verify(secret, signed.decode(), body, now_s=it.platform.clock.now_s())


async def _count(it: Here) -> tuple[int, int]:
    """How many events of the network were posted, and how many there were."""
    return sum(not one["kind"].startswith("function") for one in it.told()), len(it.seen)
