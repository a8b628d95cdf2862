"""A connection to one hypervisor: each call on a thread of its own, with a limit, and errors in our
words. libvirt's calls block, and one to a hypervisor that is gone may block for minutes.
"""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

import libvirt
import structlog

from umbel.compute.drivers.libvirt.context import GuestLimits
from umbel.compute.hypervisors.model import HypervisorFailed, HypervisorUnreachable
from umbel.kit import backoff

log = structlog.get_logger(__name__)

Answer = TypeVar("Answer")

_KEEP_ALIVE_S, _KEEP_ALIVES = 5, 4
_ASK_NOTHING = "no_tty=1"
_AGAIN = {"first_s": 0.5, "longest_s": 15.0}


def reached_by(uri: str, certificates: Path | None) -> str:
    """The URI with what libvirt needs to ask nobody: by SSH no terminal, by TLS the folder of
    certificates, unless the URI names one."""
    joint = "&" if "?" in uri else "?"
    if uri.startswith("qemu+ssh:"):
        return f"{uri}{joint}{_ASK_NOTHING}"
    if uri.startswith("qemu+tls:") and certificates is not None and "pkipath=" not in uri:
        return f"{uri}{joint}pkipath={quote(str(certificates))}"
    return uri


class LibvirtConnection:
    """Opened by the first call, and again after it broke: behind, so that one that is gone delays
    nobody for longer than `wait_s`. `on_change(domain)` hears, on the event loop, the names of
    domains whose state changed. All calls on one event loop."""

    def __init__(
        self, name: str, uri: str, on_change: Callable[[str], None], limits: GuestLimits
    ) -> None:
        self._name = name
        self._uri = uri
        self._on_change = on_change
        self._limits = limits
        self._open: libvirt.virConnect | None = None
        self._opening: asyncio.Task[libvirt.virConnect] | None = None
        self._failures = 0
        self._is_closed = False

    async def call(
        self, work: Callable[["libvirt.virConnect"], Answer], within_s: float = 0.0
    ) -> Answer:
        """What `work` answers, which gets the connection. Raises HypervisorUnreachable,
        HypervisorFailed, and what `work` raises of ours."""
        connection, limit_s = await self.opened(), within_s or self._limits.call_s
        try:
            return await _on_thread(lambda: work(connection), limit_s, self._name)
        except TimeoutError:
            self._drop(connection)
            message = f"{self._name} did not answer within {limit_s:g} s"
            raise HypervisorUnreachable(message, node=self._name) from None
        except libvirt.libvirtError as error:
            if _is_alive(connection):
                message = f"{self._name}: {_text(error)}"
                raise HypervisorFailed(message, node=self._name) from error
            self._drop(connection)
            message = f"The connection to {self._name} broke: {_text(error)}"
            raise HypervisorUnreachable(message, node=self._name) from error

    async def opened(self) -> "libvirt.virConnect":
        """The connection itself, for a call by another one's. Raises HypervisorUnreachable."""
        if self._open is not None and _is_alive(self._open):
            return self._open
        if self._is_closed:
            raise HypervisorUnreachable(f"{self._name} was let go", node=self._name)
        if self._opening is None:
            self._opening = asyncio.create_task(self._reopen(), name=f"reach:{self._name}")
            self._opening.add_done_callback(_seen_to)
        try:
            async with asyncio.timeout(self._limits.wait_s):
                return await asyncio.shield(self._opening)
        except TimeoutError:
            message = f"{self._name} is not reached yet, by {self._uri}"
            raise HypervisorUnreachable(message, node=self._name) from None

    async def close(self) -> None:
        """Let go of the hypervisor."""
        self._is_closed = True
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.gather(self._opening, return_exceptions=True)
        if self._open is not None:
            connection, self._open = self._open, None
            with suppress(TimeoutError, libvirt.libvirtError):
                await _on_thread(connection.close, self._limits.connect_s, self._name)

    async def _reopen(self) -> "libvirt.virConnect":
        """Open the connection. One that failed says so until it may be tried again."""
        _run_events()
        loop = asyncio.get_running_loop()
        try:
            self._open = await _on_thread(
                lambda: self._connect(loop), self._limits.connect_s, self._name
            )
        except TimeoutError:
            self._try_again_later(loop)
            message = (
                f"{self._name} did not answer within {self._limits.connect_s:g} s: {self._uri}"
            )
            raise HypervisorUnreachable(message, node=self._name) from None
        except libvirt.libvirtError as error:
            self._try_again_later(loop)
            message = f"{self._name} cannot be reached by {self._uri}: {_text(error)}"
            raise HypervisorUnreachable(message, node=self._name) from error
        self._opening, self._failures = None, 0
        log.info("hypervisor reached", node=self._name)
        return self._open

    def _try_again_later(self, loop: asyncio.AbstractEventLoop) -> None:
        def forget() -> None:
            self._opening = None

        self._failures += 1
        loop.call_later(backoff.wait_s(self._failures, 0.0, **_AGAIN), forget)

    def _connect(self, loop: asyncio.AbstractEventLoop) -> "libvirt.virConnect":
        connection = libvirt.open(self._uri)
        connection.setKeepAlive(_KEEP_ALIVE_S, _KEEP_ALIVES)

        def changed(_: object, domain: libvirt.virDomain, *__: object) -> None:
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(self._on_change, domain.name())

        for event in (
            libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE,
            libvirt.VIR_DOMAIN_EVENT_ID_AGENT_LIFECYCLE,
        ):
            connection.domainEventRegisterAny(None, event, changed, None)
        return connection

    def _drop(self, connection: "libvirt.virConnect") -> None:
        """Use it no more. Closing might block, too."""
        if self._open is connection:
            self._open = None
            threading.Thread(target=_close, args=(connection,), daemon=True).start()


def _seen_to(opening: "asyncio.Task[libvirt.virConnect]") -> None:
    """Its error is for who waits; perhaps nobody does any more."""
    if not opening.cancelled():
        opening.exception()


def _close(connection: "libvirt.virConnect") -> None:
    with suppress(libvirt.libvirtError):
        connection.close()


def _is_alive(connection: "libvirt.virConnect") -> bool:
    try:
        return bool(connection.isAlive() == 1)
    except libvirt.libvirtError:
        return False


def _text(error: "libvirt.libvirtError") -> str:
    return (error.get_error_message() or str(error)).strip().replace("\n", " ")[:400]


async def _on_thread(work: Callable[[], Answer], within_s: float, name: str) -> Answer:
    """What `work` answers on a thread that nobody waits for when it takes too long. Raises
    TimeoutError and what `work` raises."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Answer] = loop.create_future()

    def finish(answer: Answer | None, error: BaseException | None) -> None:
        if done.cancelled():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(answer)  # type: ignore[arg-type]  # without an error there is one

    def run() -> None:
        answer: Answer | None = None
        problem: BaseException | None = None
        try:
            answer = work()
        except BaseException as error:  # noqa: BLE001 -- who waits for the answer raises it
            problem = error
        with suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(finish, answer, problem)

    threading.Thread(target=run, name=f"libvirt {name}", daemon=True).start()
    async with asyncio.timeout(within_s):
        return await done


@cache
def _run_events() -> None:
    """libvirt's own loop: it keeps connections alive and hears of events, for all hypervisors."""
    libvirt.registerErrorHandler(lambda *_: None, None)  # it would print each error
    libvirt.virEventRegisterDefaultImpl()

    def run() -> None:
        while True:
            libvirt.virEventRunDefaultImpl()

    threading.Thread(target=run, name="libvirt events", daemon=True).start()
    # Without a timer it would wait for ever, and not see a connection that is added later.
    libvirt.virEventAddTimeout(1000, lambda *_: None, None)
