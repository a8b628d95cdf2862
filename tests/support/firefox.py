"""Debian's Firefox, headless, with a fresh profile, driven over WebDriver BiDi
(https://www.w3.org/TR/webdriver-bidi/).

    async with firefox(folder) as page:
        await page.open(url)
        await page.evaluate("document.title")
"""

import asyncio
import itertools
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import websockets
from websockets.asyncio.client import ClientConnection

FIREFOX = Path("/usr/bin/firefox-esr")
ABSENT = "" if FIREFOX.exists() else "Firefox is not installed (Debian: firefox-esr)"
_START_S = 60.0
_ANSWER_S = 60.0
_LISTENING = re.compile(rb"WebDriver BiDi listening on (ws://\S+)")
_PREFERENCES = {
    "media.autoplay.default": 0,
    # No plug-in with H.264 is fetched: what a fresh or offline profile has.
    "media.gmp-manager.updateEnabled": False,
    "media.gmp-gmpopenh264.enabled": False,
    "media.peerconnection.ice.loopback": True,
    "app.update.disabledForTesting": True,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "network.proxy.type": 0,
}


class FirefoxPage:
    """Its one tab."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self._context = ""

    async def begin(self) -> None:
        """Open the session."""
        await self._call("session.new", capabilities={})
        tree = await self._call("browsingContext.getTree")
        self._context = tree["contexts"][0]["context"]

    async def open(self, url: str) -> None:
        """Load a page."""
        await self._call(
            "browsingContext.navigate", context=self._context, url=url, wait="complete"
        )

    async def before_scripts(self, function: str) -> None:
        """Run a JavaScript function in every page before its own scripts."""
        await self._call("script.addPreloadScript", functionDeclaration=function)

    async def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression, or of its promise, which JSON can carry."""
        answer = await self._call(
            "script.evaluate",
            expression=f"(async () => JSON.stringify(await ({expression})))()",
            target={"context": self._context},
            awaitPromise=True,
        )
        assert answer["type"] == "success", answer
        value = answer["result"].get("value")
        return None if value is None else json.loads(value)

    async def _call(self, method: str, **params: object) -> Any:
        number = next(self._numbers)
        await self._socket.send(json.dumps({"id": number, "method": method, "params": params}))
        async with asyncio.timeout(_ANSWER_S):
            while True:
                message = json.loads(await self._socket.recv())
                if message.get("id") == number:
                    assert message["type"] == "success", message
                    return message["result"]


@asynccontextmanager
async def firefox(folder: Path) -> AsyncIterator[FirefoxPage]:
    """A fresh Firefox with its profile in the folder; ended by pid."""
    profile = folder / "firefox"
    profile.mkdir()
    lines = [f"user_pref({json.dumps(k)}, {json.dumps(v)});" for k, v in _PREFERENCES.items()]
    (profile / "user.js").write_text("\n".join(lines) + "\n")
    process = await asyncio.create_subprocess_exec(
        *(FIREFOX, "--headless", "--no-remote", "--profile", profile),
        *("--remote-debugging-port", "0"),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        env={"HOME": str(folder), "PATH": "/usr/bin:/bin", "MOZ_REMOTE_ALLOW_SYSTEM_ACCESS": "1"},
        start_new_session=True,
    )
    assert process.stderr is not None
    draining: asyncio.Task[bytes] | None = None
    try:
        async with asyncio.timeout(_START_S):
            while (found := _LISTENING.search(await process.stderr.readline())) is None:
                assert not process.stderr.at_eof(), "Firefox ended"
        draining = asyncio.ensure_future(process.stderr.read())
        async with websockets.connect(f"{found[1].decode()}/session", proxy=None) as socket:
            page = FirefoxPage(socket)
            await page.begin()
            yield page
    finally:
        process.terminate()
        await process.wait()
        if draining is not None:
            await draining
