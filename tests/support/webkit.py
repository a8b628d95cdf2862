"""Debian's WebKitGTK on a screen of its own, driven over WebDriver (https://www.w3.org/TR/webdriver2/).

async def title(page: WebKitPage) -> str:
    await page.open(url)
    return await page.evaluate("document.title")

assert await in_webkit(title)
"""

import asyncio
import os
import shutil
import signal
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx

from umbel.kit.listening import bind

_MISSING = [tool for tool in ("WebKitWebDriver", "Xvfb") if shutil.which(tool) is None]
ABSENT = "WebKitGTK is not installed (Debian: webkit2gtk-driver, xvfb)" if _MISSING else ""
_START_S = 60.0
_ANSWER_S = 45.0
_MOST_BROWSERS = 4
T = TypeVar("T")
_ENVIRONMENT = {
    "LIBGL_ALWAYS_SOFTWARE": "1",
    # Its sandbox needs namespaces that a container may not make; what it opens is ours.
    "WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS": "1",
}


class WebKitHangs(Exception):
    """It answers no more: a seek before the first picture locked it up (decision 0093)."""


@dataclass(frozen=True, kw_only=True)
class WebKitPage:
    """Its one tab."""

    http: httpx.AsyncClient
    session: str

    async def open(self, url: str) -> None:
        """Load a page."""
        await _value(self.http.post(f"/session/{self.session}/url", json={"url": url}))

    async def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression, which JSON can carry."""
        script = {"script": f"return {expression}", "args": []}
        return await _value(self.http.post(f"/session/{self.session}/execute/sync", json=script))


async def in_webkit(look: Callable[[WebKitPage], Awaitable[T]]) -> T:
    """What is seen in a fresh WebKitGTK; in another one where the browser itself hangs. What the
    page does wrong fails at once."""
    for _ in range(_MOST_BROWSERS - 1):
        with suppress(WebKitHangs):
            async with _webkit() as page:
                return await look(page)
    async with _webkit() as page:
        return await look(page)


@asynccontextmanager
async def _webkit() -> AsyncIterator[WebKitPage]:
    """A fresh WebKitGTK; ended by pid."""
    async with AsyncExitStack() as stack:
        display = await _screen(stack)
        with bind("127.0.0.1", 0) as free:
            port = free.getsockname()[1]
        await _started(
            stack,
            *("WebKitWebDriver", "--host=127.0.0.1", f"--port={port}"),
            env={**os.environ, **_ENVIRONMENT, "DISPLAY": display},
        )
        http = httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=_ANSWER_S)
        await stack.enter_async_context(http)
        await _until_ready(http)
        made = await _value(http.post("/session", json={"capabilities": {"alwaysMatch": {}}}))
        page = WebKitPage(http=http, session=made["sessionId"])
        try:
            yield page
        finally:
            with suppress(httpx.ReadTimeout):
                await http.delete(f"/session/{page.session}", timeout=_START_S / 10)


async def _screen(stack: AsyncExitStack) -> str:
    """The display of an X server without a screen."""
    reader, writer = os.pipe()
    stack.callback(os.close, reader)
    command = ("Xvfb", "-displayfd", str(writer), "-screen", "0", "1280x800x24", "-nolisten", "tcp")
    try:
        await _started(stack, *command, pass_fds=(writer,))
    finally:
        os.close(writer)
    async with asyncio.timeout(_START_S):
        number = await asyncio.to_thread(os.read, reader, 32)
    return f":{number.decode().strip()}"


async def _started(stack: AsyncExitStack, *command: str, **options: Any) -> None:
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=DEVNULL,
        stdout=DEVNULL,
        stderr=DEVNULL,
        start_new_session=True,
        **options,
    )
    stack.push_async_callback(_end, process)


async def _end(process: Process) -> None:
    """With all that it started: a browser that hangs does not end by itself."""
    os.killpg(process.pid, signal.SIGKILL)
    await process.wait()


async def _until_ready(http: httpx.AsyncClient) -> None:
    async with asyncio.timeout(_START_S):
        while True:
            try:
                await http.get("/status")
            except httpx.ConnectError:
                await asyncio.sleep(0.05)
            else:
                return


async def _value(asking: Any) -> Any:
    try:
        answer = await asking
    except httpx.ReadTimeout as error:
        raise WebKitHangs from error
    assert answer.status_code == 200, answer.text
    return answer.json()["value"]
