"""Platforms on fakes and virtual time, with events whose viewers are expected."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import yaml

from support.virtual import until
from support.world import World, world
from umbel.catalogue.model import EventDraft, EventState, UserRole
from umbel.catalogue.reservations.model import Purpose
from umbel.delivery.trees.view import EDGE

LEAD_S, GRACE_S = 60.0, 120.0
SETTINGS = {"demand_lead_s": LEAD_S, "demand_grace_s": GRACE_S}


@asynccontextmanager
async def platform(folder: Path, **more: Any) -> AsyncIterator[World]:
    async with world(folder, settings=SETTINGS, **more) as w:
        yield w


async def scheduled(
    w: World, *, after_s: float, nodes: tuple[str, ...], at: str = "pe1", tag: str = "a"
) -> str:
    """An event after a while, with a reservation of one viewer of each node."""
    catalogue = w.system.catalogue
    names = [f"viewer-{tag}-{number}" for number in range(len(nodes))]
    for name in names:  # time passes while passwords are hashed
        await catalogue.add_user(name, "correct horse battery", UserRole.VIEWER)
    provider = await catalogue.ensure_provider(f"Provider at {at}", at)
    starts_s = w.clock.now_s() + after_s
    draft = EventDraft(
        provider_id=provider.id, title="Council", starts_s=starts_s, ends_s=starts_s + 7_200
    )
    event = await catalogue.add_event(draft)
    for name, node in zip(names, nodes, strict=True):
        await catalogue.reservations.reserve(name, event.id, Purpose.WATCH)
        await catalogue.demand.note_node(name, node)
    return event.id


def edges(w: World) -> list[str]:
    return sorted(name for name in w.states() if name.startswith(EDGE))


async def until_edges(w: World, *names: str, within_s: float) -> float:
    async def holds() -> bool:
        return edges(w) == sorted(names)

    return await until(holds, within_s=within_s, why=f"{names}: {w.states()}")


async def on_air(w: World, event: str) -> None:
    point = await w.delivery.open_ingest(event)
    w.media.publish(point.function, event)
    await w.until_state(event, EventState.LIVE)


NARROW = """
default_access: pe1
nodes:
  - {name: pe1, kind: provider-edge, address: 127.0.1.1, cores: 2, memory_mb: 150, mbps: NODE_MBPS}
  - {name: c1, kind: core, address: 127.0.6.1, cores: 4, memory_mb: 4096, mbps: 1000}
links:
  - {a: pe1, b: c1, mbps: LINK_MBPS, delay_ms: 1}
"""


def narrow(
    folder: Path, *, node_mbps: int = 1000, link_mbps: int = 3, more: tuple[str, ...] = ()
) -> dict[str, Any]:
    """A node with room for one function, at a link with room for one stream, if not for more."""
    file = folder / "network.yaml"
    text = NARROW.replace("NODE_MBPS", str(node_mbps)).replace("LINK_MBPS", str(link_mbps))
    document = yaml.safe_load(text)
    for number, name in enumerate(more, 2):
        node = {"name": name, "address": f"127.0.{number}.1"}
        document["nodes"].append({**document["nodes"][0], **node})
        document["links"].append({**document["links"][0], "a": name})
    file.write_text(yaml.safe_dump(document))
    return {"settings": {**SETTINGS, "network_file": file}}
