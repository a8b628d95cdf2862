"""One storm from its beginning to its end."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path

from support.platform import Platform, platform
from support.storm.encoder import Encoder
from support.storm.plan import Death, Kind
from support.storm.report import Loss, Storm, Viewing
from support.storm.victims import Victims
from support.storm.viewer import Viewer
from support.webrtc_peer import on_loopback
from umbel.demo import stage
from umbel.demo.stage import LiveEvent

NODES = ("pe2", "pe4")
_FIRST_FRAMES, _STEADY_FRAMES = 60, 30
_WITHIN_S = 120.0
_BACK_S = 120.0
_BUSY = "while True: pass"

Say = Callable[[str], None]


async def storm(
    deaths: Sequence[Death],
    seconds: float,
    folder: Path,
    *,
    seed: int,
    say: Say,
    load: int = 0,
    one_by_one: bool = False,
) -> Storm:
    """Play these deaths on a platform in the folder, next to `load` busy loops; `say` gets a line
    per death. `one_by_one`: each waits until all is well again. Raises TimeoutError when the
    platform does not come up."""
    async with AsyncExitStack() as stack:
        made = await stack.enter_async_context(platform(folder))
        for number in range(load):
            command = (sys.executable, "-c", _BUSY)
            made.children.append(await stage.start("load", command, folder / f"load{number}"))
        stack.enter_context(on_loopback())
        event = await made.event()
        encoder = Encoder(made, event)
        stack.push_async_callback(encoder.stop)
        await _until_live(made, event)
        viewers = [await stack.enter_async_context(_viewing(made, event, n, seed)) for n in NODES]
        await _decoding(viewers, _FIRST_FRAMES)
        victims = Victims(made, encoder)
        stack.push_async_callback(victims.stop)
        return await _Weather(victims, encoder, viewers, say, one_by_one).play(
            deaths, seconds, load
        )


@asynccontextmanager
async def _viewing(made: Platform, event: LiveEvent, node: str, seed: int) -> AsyncIterator[Viewer]:
    viewer = Viewer(made, event, node, seed)
    try:
        yield viewer
    finally:
        await viewer.stop()
        told = "\n".join(f"{at_s:.2f} {what}" for at_s, what in viewer.story)
        (made.folder / f"viewer-{node}.log").write_text(told + "\n")


async def _until_live(made: Platform, event: LiveEvent) -> None:
    async with asyncio.timeout(_WITHIN_S):
        while (await made.get(f"events/{event.id}"))["state"] != "live":
            await asyncio.sleep(0.2)


async def _decoding(viewers: Sequence[Viewer], frames: int, within_s: float = _WITHIN_S) -> None:
    """Wait until each has decoded so many more frames."""
    goals = [len(viewer.seen.drawn_s) + frames for viewer in viewers]
    async with asyncio.timeout(within_s):
        while any(len(v.seen.drawn_s) < goal for v, goal in zip(viewers, goals, strict=True)):
            await asyncio.sleep(0.05)


async def _clock_shows(at_s: float) -> None:
    while (left_s := at_s - time.time()) > 0:
        await asyncio.sleep(left_s)


class _Weather:
    """Plays the deaths and notes what they did."""

    def __init__(
        self,
        victims: Victims,
        encoder: Encoder,
        viewers: Sequence[Viewer],
        say: Say,
        one_by_one: bool,
    ) -> None:
        self._victims = victims
        self._encoder = encoder
        self._viewers = viewers
        self._say = say
        self._one_by_one = one_by_one
        self._losses: list[Loss] = []
        self._returns: list[asyncio.Task[None]] = []

    async def play(self, deaths: Sequence[Death], seconds: float, load: int) -> Storm:
        begin_s, begin_sent = time.time(), self._encoder.sent
        for death in deaths:
            await _clock_shows(begin_s + death.at_s)
            await self._kill(death, begin_s, seconds)
            if self._one_by_one:
                await asyncio.wait(self._returns)
                await self._pictures()
        await _clock_shows(begin_s + seconds)
        end_s, end_sent = time.time(), self._encoder.sent
        await self._pictures()
        await asyncio.gather(*self._returns)
        return Storm(
            begin_s=begin_s,
            begin_sent=begin_sent,
            end_s=end_s,
            end_sent=end_sent,
            losses=tuple(self._losses),
            viewings=[_since(viewer, begin_s) for viewer in self._viewers],
            load=load,
        )

    async def _pictures(self) -> None:
        try:
            await _decoding(self._viewers, _STEADY_FRAMES, _BACK_S)
        except TimeoutError:
            self._say(f"a viewer has no picture for {_BACK_S:.0f} s")

    async def _kill(self, death: Death, begin_s: float, seconds: float) -> None:
        """Kill one that works; when none does, wait for one."""
        while not (found := self._victims.alive(death.kind)):
            if time.time() > begin_s + seconds:
                return
            await asyncio.sleep(0.02)
        name, pid = list(found.items())[int(death.draw * len(found))]
        loss = Loss(at_s=time.time(), kind=death.kind, sent=self._encoder.sent)
        self._losses.append(loss)
        self._victims.kill(pid)
        said = f"{loss.at_s - begin_s:6.1f} s of {seconds:.0f} s  {name} killed"
        returning = self._await_return(len(self._losses) - 1, name, pid, said)
        self._returns.append(asyncio.create_task(returning))

    async def _await_return(self, index: int, name: str, pid: int, said: str) -> None:
        loss = self._losses[index]
        try:
            async with asyncio.timeout(_BACK_S):
                back_s = await self._victims.back(loss.kind, name, pid)
        except TimeoutError:
            self._say(f"{said}, not back within {_BACK_S:.0f} s")
            return
        self._losses[index] = replace(loss, back_s=back_s)
        self._say(f"{said}, back after {back_s:.1f} s")


def _since(viewer: Viewer, begin_s: float) -> Viewing:
    pairs = zip(viewer.seen.drawn_s, viewer.seen.decoded_s, strict=True)
    kept = [(drawn_s, at_s) for drawn_s, at_s in pairs if at_s >= begin_s]
    return Viewing(drawn_s=[d for d, _ in kept], decoded_s=[at_s for _, at_s in kept])


def kinds_back(storm: Storm) -> set[Kind]:
    """The kinds that were killed and came back."""
    return {loss.kind for loss in storm.losses if loss.back_s is not None}
