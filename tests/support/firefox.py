"""Debian's Firefox, headless, with a fresh profile, driven over WebDriver BiDi
(https://www.w3.org/TR/webdriver-bidi/).

    async with firefox(folder) as page:
        await page.open(url)
        await page.click("button", "Sign in")
        await page.evaluate("document.title")
"""

import asyncio
import itertools
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import websockets
from websockets.asyncio.client import ClientConnection

from support.waiting import until

FIREFOX = Path("/usr/bin/firefox-esr")
ABSENT = "" if FIREFOX.exists() else "Firefox is not installed (Debian: firefox-esr)"
_START_S = 60.0
_ANSWER_S = 60.0
_APPEARS_S = 60.0
ENTER = "\ue007"
"""What the key is called in WebDriver (https://www.w3.org/TR/webdriver2/#keyboard-actions)."""
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


_GONE = {"no such node", "no such element", "stale element reference"}
_IN_SIGHT = """element => {
    element.scrollIntoView({block: 'center'});
    return element.isConnected && !element.disabled;
}"""


def _named(role: str, name: str) -> dict[str, Any]:
    return {"type": "accessibility", "value": {"role": role, "name": name}}


class Gone(Exception):
    """The page has replaced the element."""


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

    async def click(self, role: str, name: str, number: int = 0) -> None:
        """Move the mouse onto the element with this role and accessible name, once it is there and
        enabled, and press its button. Of several it is that with the number."""
        await self._click(_named(role, name), number)

    async def follow(self, path: str) -> None:
        """Click the first link to the path, once it is there."""
        await self._click({"type": "css", "value": f"a[href='{path}']"}, 0)

    async def _click(self, locator: dict[str, Any], number: int) -> None:
        async def is_clicked() -> bool:
            nodes = await self._nodes(locator)
            if len(nodes) <= number:
                return False
            try:
                return await self._press({"sharedId": nodes[number]["sharedId"]})
            except Gone:
                return False

        await until(is_clicked, within_s=_APPEARS_S)

    async def _press(self, element: dict[str, Any]) -> bool:
        """Whether it could be pressed. Raises Gone where the page has replaced it meanwhile."""
        found = await self._call(
            "script.callFunction",
            functionDeclaration=_IN_SIGHT,
            arguments=[element],
            target={"context": self._context},
            awaitPromise=True,
        )
        if not found["result"]["value"]:
            return False
        there = {"type": "pointerMove", "x": 0, "y": 0}
        there |= {"origin": {"type": "element", "element": element}}
        press = [{"type": "pointerDown", "button": 0}, {"type": "pointerUp", "button": 0}]
        mouse = {"type": "pointer", "id": "mouse", "actions": [there, *press]}
        await self._call("input.performActions", context=self._context, actions=[mouse])
        return True

    async def fill(self, role: str, name: str, text: str) -> None:
        """Click into a field, and type."""
        await self.click(role, name)
        await self.type(text)

    async def type(self, text: str) -> None:
        """Type into what has the focus."""
        keys = [{"type": kind, "value": c} for c in text for kind in ("keyDown", "keyUp")]
        keyboard = {"type": "key", "id": "keyboard", "actions": keys}
        await self._call("input.performActions", context=self._context, actions=[keyboard])

    async def has(self, role: str, name: str, count: int = 1) -> None:
        """Wait until there are so many such elements."""
        await until(
            partial(self._nodes, _named(role, name)),
            lambda nodes: len(nodes) == count,
            within_s=_APPEARS_S,
        )

    async def _nodes(self, locator: dict[str, Any]) -> list[dict[str, Any]]:
        found = await self._call(
            "browsingContext.locateNodes", context=self._context, locator=locator
        )
        nodes: list[dict[str, Any]] = found["nodes"]
        return nodes

    async def _call(self, method: str, **params: object) -> Any:
        number = next(self._numbers)
        await self._socket.send(json.dumps({"id": number, "method": method, "params": params}))
        async with asyncio.timeout(_ANSWER_S):
            while True:
                message = json.loads(await self._socket.recv())
                if message.get("id") == number:
                    if message.get("error") in _GONE:
                        raise Gone(message["message"])
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
