"""A guest that moves to another hypervisor and back: for how long no packet passes it at 1 000 a
second, and how many bytes travel, next to all of its memory and disk.

In: nothing; UMBEL_BENCH_ROUNDS moves a case. Out: JSON lines on stdout, a table for people on
stderr; root only. Two hypervisors in namespaces, with emulated guests. `shared`: their storage is
one folder. `iscsi`: the guest's disk is a logical unit of tgt, which QEMU reaches.
`context-base-present`: memory and what changed of the disk. `context`: the image, too.
Emulated guests stop while they are copied. In `live` they do not, and some die of it: `died` counts
those that never answered again.
"""

import asyncio
import os
import statistics
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests"))
from support.figures import Figure, emit  # noqa: E402

from support import iscsi, libvirt_worlds, libvirtd  # noqa: E402 -- the labs' hypervisors
from support.guest_moves import GuestPlane, Surroundings, guest_plane, probing  # noqa: E402
from support.moving_worlds import MovingGuests, moving_guests  # noqa: E402
from support.vim_worlds import until_state  # noqa: E402
from umbel.compute.model import FunctionState  # noqa: E402
from umbel.kit import log  # noqa: E402
from umbel.mobility.model import Json, Migration, MigrationKind, MigrationState  # noqa: E402

ROUNDS = int(os.environ.get("UMBEL_BENCH_ROUNDS", "3"))
SHARED, FULL = MigrationKind.SHARED_STORAGE, MigrationKind.FULL_TRANSFER
PRINTED_MS = dict.fromkeys(("shared", "iscsi"), ("VPM, as printed", 2000.0))
OTHERS_MS = ("vCDN, as printed", 4000.0)


@dataclass(frozen=True, kw_only=True)
class Moved:
    """One move: what the probe saw, and MiB that travelled."""

    gap_ms: float
    lost: int
    took_s: float
    copied_mb: float
    disk_mb: float
    is_dead: bool = False


def figure(of: Json | None, name: str) -> float:
    """A figure of what was achieved."""
    found = (of or {}).get(name)
    assert isinstance(found, int | float), f"{name} is not known"
    return found


async def move(plane: GuestPlane, target: str, kind: MigrationKind) -> Moved:
    """Move the relay while packets pass it."""
    guest = await until_state(plane.vim, plane.edge.id, FunctionState.ACTIVE, within_s=300)
    async with probing(guest) as found:
        over: Migration = await plane.moved(target, kind)
    probed = await found
    after = await until_state(plane.vim, plane.edge.id, FunctionState.ACTIVE, within_s=300)
    is_dead = probed.is_silent or after.started_s != guest.started_s
    assert over.state is MigrationState.COMMITTED or is_dead, over.reason
    if over.achieved is None:
        return Moved(gap_ms=0.0, lost=0, took_s=0.0, copied_mb=0.0, disk_mb=0.0, is_dead=True)
    return Moved(
        is_dead=is_dead,
        gap_ms=probed.gap_s * 1000,
        lost=probed.lost,
        took_s=figure(over.achieved, "duration_s"),
        copied_mb=figure(over.achieved, "copied_mb"),
        disk_mb=figure(over.achieved, "disk_mb"),
    )


@asynccontextmanager
async def running(
    below: libvirt_worlds.Ground, folder: Path, storage: Path | None, *, is_live: bool
) -> AsyncIterator[tuple[MovingGuests, GuestPlane]]:
    """A relay at pe2 that may move."""
    async with moving_guests(below, storage) as world:
        folder.mkdir()
        around = replace(Surroundings.of(world, folder), is_live=is_live)
        async with guest_plane(around, "bench") as plane:
            plane.run()
            await plane.guest()
            yield world, plane


async def case(name: str, below: libvirt_worlds.Ground, folder: Path) -> None:
    """Measure and say one case. The first move warms up, and brings the image."""
    kind = SHARED if name in {"shared", "iscsi"} else FULL
    storage = folder / "storage" if name == "shared" else None
    found: list[Moved] = []
    is_live = name == "live"
    async with running(below, folder / name, storage, is_live=is_live) as (world, plane):
        for number in range(ROUNDS + 1):
            at = (await plane.vim.running())[plane.edge.id].node
            target = "pe1" if at == "pe2" else "pe2"
            if name == "context":
                await world.clear(target)
            one = await move(plane, target, kind)
            print(f"  {name} {number}: {one}", file=sys.stderr, flush=True)
            found.append(one)
        full_mb = plane.memory_mb + plane.disk_mb
        say(name, found[1:], full_mb)
        died = sum(one.is_dead for one in found)
        emit(Figure(bench="migrate", case=f"{name}-died", value=died, unit="guests", n=len(found)))


def say(name: str, found: list[Moved], full_mb: float) -> None:
    """The medians of a case."""
    found = [one for one in found if not one.is_dead]
    peer, peer_ms = PRINTED_MS.get(name, OTHERS_MS)
    rows: list[tuple[str, list[float], str, str | None, float | None]] = [
        (name, [one.gap_ms for one in found], "ms gap", peer, peer_ms),
        (f"{name}-lost", [float(one.lost) for one in found], "packets", None, None),
        (f"{name}-time", [one.took_s for one in found], "s", None, None),
        (f"{name}-bytes", [one.copied_mb for one in found], "MiB", "all of it", full_mb),
        (f"{name}-disk", [one.disk_mb for one in found], "MiB", None, None),
    ]
    for label, values, unit, against, value in rows:
        emit(
            Figure(
                bench="migrate",
                case=label,
                value=statistics.median(values),
                unit=unit,
                n=len(values),
                peer=against,
                peer_value=value,
            )
        )


async def cases(below: libvirt_worlds.Ground, folder: Path) -> None:
    """One after the other, on the same hypervisors."""
    await case("shared", below, folder)
    if iscsi.ABSENT:
        print(f"  iscsi left out: {iscsi.ABSENT}", file=sys.stderr)
    else:
        with iscsi.target(below.a.host_address, folder, 2, 64) as target:
            await case("iscsi", iscsi.at_target(below, target), folder)
    for name in ("context-base-present", "context", "live"):
        await case(name, below, folder)


def main() -> None:
    log.configure(level="error")
    if libvirtd.ABSENT:
        print(f"migrate left out: {libvirtd.ABSENT}", file=sys.stderr)
        return
    with tempfile.TemporaryDirectory(prefix="umbel-bench-") as folder:
        (Path(folder) / "hypervisors").mkdir()
        with libvirt_worlds.ground(Path(folder) / "hypervisors") as below:
            asyncio.run(cases(below, Path(folder)))


if __name__ == "__main__":
    main()
