"""Host names where files, requests and options come in. `localhost` resolves on every machine, and
names under `invalid` on none (RFC 6761)."""

import asyncio
import sys
from pathlib import Path

import pytest

from umbel.bootstrap.drivers import network_document, read_network
from umbel.kit import hosts
from umbel.kit.hosts import HostNotFound
from umbel.network.documents import BadNetwork

NETWORK = """
nodes:
  - {name: near, address: localhost}
  - {name: far, address: 127.0.2.1}
  - {name: lost, address: lost.invalid}
  - {name: odd, address: 127.0.0.300}
  - {name: twice, address: localhost}
links: [{a: near, b: far}]
"""


def test_a_name_becomes_an_address_and_an_address_stays() -> None:
    assert hosts.resolve("localhost") == "127.0.0.1"
    assert hosts.resolve("127.0.9.9") == "127.0.9.9"
    assert hosts.resolve("::1") == "::1"
    with pytest.raises(HostNotFound, match=r"lost\.invalid does not resolve"):
        hosts.resolve("lost.invalid")


@pytest.mark.parametrize("text", ["pe1", "pe1.example", "a-b.c", "3com.example", "x.", "1.2.3.4a"])
def test_what_can_be_a_name(text: str) -> None:
    assert hosts.check(text) == text


@pytest.mark.parametrize(
    "text",
    [
        *("", ".", "-a", "a-", "a..b", "a b", "a_b", "ä.example", "a/b", "a.example:80"),
        *("1.2.3", "127.0.0.300", "a" * 64, ".".join(["abcdefg"] * 40)),
    ],
)
def test_what_cannot(text: str) -> None:
    with pytest.raises(ValueError, match="neither an IP address nor a host name"):
        hosts.check(text)


def test_a_network_file_is_read_with_names_and_each_problem_has_its_node(tmp_path: Path) -> None:
    file = tmp_path / "net.yaml"
    file.write_text(NETWORK)
    with pytest.raises(BadNetwork) as refused:
        read_network(network_document(file))
    assert refused.value.details["problems"] == [
        "node lost: address: Value error, lost.invalid does not resolve",
        "node odd: address: Value error, neither an IP address nor a host name",
        "node twice: address 127.0.0.1 is near's",
    ]
    file.write_text("\n".join(NETWORK.splitlines()[:4] + NETWORK.splitlines()[-1:]))
    nodes, _, _ = read_network(network_document(file))
    assert [node.address for node in nodes.nodes] == ["127.0.0.1", "127.0.2.1"]


async def serve(tmp_path: Path, *words: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "umbel", "serve", "--data-dir", str(tmp_path / "data"), *words),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    _, wrong = await process.communicate()
    return process.returncode or 0, wrong.decode().splitlines()[-1]


async def test_a_front_end_that_cannot_listen_says_why(tmp_path: Path) -> None:
    listener = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = str(listener.sockets[0].getsockname()[1])
    async with listener:
        for host, code in (
            ("lost.invalid", "umbel.host_not_found"),
            ("192.0.2.1", "umbel.cannot_listen"),  # RFC 5737: no machine's
            ("localhost", "umbel.address_taken"),
        ):
            status, said = await serve(tmp_path, "--host", host, "--port", port)
            assert (status, f"({code})" in said, host in said) == (2, True, True), said
