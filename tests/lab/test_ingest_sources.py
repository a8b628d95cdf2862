"""Who may publish at a port without keys, on a real desk."""

import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import pytest

from support.ingest_lab import Lab, lab

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Lab]:
    async with lab(tmp_path) as it:
        yield it


@contextmanager
def senders(here: Lab, *hosts: str) -> Iterator[list[Callable[[], object]]]:
    """Each sends a packet of MPEG-TS from its own address."""
    address, port = here.urls["mpegts"].split(":")
    packet = b"\x47\x1f\xff\x10" + b"\xff" * 184  # a null packet (ISO/IEC 13818-1, 2.4.3.3)
    with ExitStack() as stack:
        made = [stack.enter_context(socket.socket(type=socket.SOCK_DGRAM)) for _ in hosts]
        for one, host in zip(made, hosts, strict=True):
            one.bind((host, 0))
        yield [partial(one.sendto, packet, (address, int(port))) for one in made]


async def test_a_port_without_keys_listens_to_the_named_hosts_alone(here: Lab) -> None:
    here.desk.restrict("ev_lab", ["127.0.61.9", "127.0.62.0/24"])
    with senders(here, "127.0.61.8", "127.0.61.9", "127.0.62.5") as (stranger, first, second):
        stranger()
        await here.until(lambda: "refused" in here.events, "a stranger is refused")
        assert here.desk.state("ev_lab").error.startswith("umbel.foreign_source")
        first()
        await here.until(lambda: here.events.count("started") == 1, "a named one publishes")
        await here.until(lambda: here.events.count("stopped") == 1, "and pauses")
        second()
        await here.until(lambda: here.events.count("started") == 2, "the next follows at once")


async def test_who_published_last_may_come_back_first(here: Lab) -> None:
    with senders(here, "127.0.61.8", "127.0.61.9") as (stranger, encoder_):
        encoder_()
        await here.until(lambda: here.events.count("started") == 1, "it publishes")
        await here.until(lambda: here.events.count("stopped") == 1, "and pauses")
        stranger()
        await here.until(lambda: "refused" in here.events, "a stranger is refused")
        encoder_()
        await here.until(lambda: here.events.count("started") == 2, "it is back")
