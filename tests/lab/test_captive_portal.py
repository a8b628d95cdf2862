"""A closed access network and a virtual service, whole: a testbed's switches, the front end as
`umbel serve` has it, hosts with curl.
"""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from support import overlay_lab, ovs
from support.http import PASSWORD
from support.served_lab import Platform, curl, platform, site
from support.testbed import Testbed
from support.waiting import until

ABSENT = ovs.absent("curl")
pytestmark = [
    pytest.mark.lab,
    pytest.mark.timeout(180),
    pytest.mark.skipif(bool(ABSENT), reason=ABSENT),
]


async def close(umbel: Platform, *nodes: str) -> None:
    """These access networks have gates that lead to the front end."""
    door = httpx.URL(umbel.front)
    gate = {"portal": {"address": door.host, "port": door.port}}
    for node in nodes:
        assert (await umbel.ask("PUT", f"/access/{node}", json=gate))["closed"]


@pytest.fixture
async def bed(three_nodes: Testbed) -> AsyncIterator[Testbed]:
    try:
        yield three_nodes
    finally:
        await overlay_lab.bare(three_nodes)


async def test_whoever_is_not_signed_in_is_sent_to_the_front_end_and_then_passes(
    bed: Testbed, tmp_path: Path
) -> None:
    ha, hb = bed.hosts["ha"], bed.hosts["hb"]
    address = _bare(ha.address)
    async with (
        site(bed, "c", 80) as web,
        site(bed, "c", 8443) as other,
        platform(bed, tmp_path) as umbel,
    ):
        assert await curl(ha, f"http://{web}/") == f"c saw {address}"
        await close(umbel, "a", "b")

        seen = await curl(ha, "-w", "%{http_code} %{redirect_url}", f"http://{web}/x?y=1")
        asked = f"next=http%3A%2F%2F{web}%2Fx%3Fy%3D1"
        assert seen == f"302 {umbel.front}/welcome?{asked}"
        assert "302" in await curl(ha, "-i", "-H", "Host: news.example", f"http://{web}/")
        assert await curl(ha, f"http://{other}:8443/", within_s=1) == ""
        page = await curl(ha, "-L", f"http://{web}/x?y=1")
        assert 'action="/welcome?next=' in page
        form = re.search(r'name="form" value="([^"]+)"', page)
        assert form

        filled = f"username=ann&password={PASSWORD.replace(' ', '+')}&form={form[1]}"
        words = ("-L", "-d", filled)
        done = await curl(ha, *words, f"{umbel.front}/welcome?{asked}")
        assert "Signed in as ann until" in done
        assert f'href="http://{web}/x?y=1"' in done
        assert await curl(ha, f"http://{web}/") == f"c saw {address}"
        assert await curl(ha, f"http://{other}:8443/") == f"c saw {address}"
        (client,) = await umbel.ask("GET", "/clients")
        told = tuple(client[key] for key in ("node", "address", "mac", "username"))
        assert told == ("a", address, ha.mac, "ann")

        assert "302" in await curl(hb, "-i", f"http://{web}/")
        second = address.rpartition(".")[0] + ".77"
        ha.run("ip", "address", "add", f"{second}/24", "dev", "eth0")
        try:
            assert "302" in await curl(ha, "--interface", second, "-i", f"http://{web}/")
        finally:
            ha.run("ip", "address", "delete", f"{second}/24", "dev", "eth0")


async def test_who_is_signed_in_stays_so_without_a_control_plane_and_with_the_next(
    bed: Testbed, tmp_path: Path
) -> None:
    ha, hb = bed.hosts["ha"], bed.hosts["hb"]
    address = _bare(ha.address)
    async with site(bed, "c", 80) as web:
        async with platform(bed, tmp_path) as umbel:
            await close(umbel, "a", "b")
            await umbel.ask("POST", "/clients", json={"address": address})
            assert await curl(ha, f"http://{web}/") == f"c saw {address}"
        assert await curl(ha, f"http://{web}/") == f"c saw {address}"
        assert await curl(hb, f"http://{web}/", within_s=1) == ""
        async with platform(bed, tmp_path) as umbel:
            assert await curl(ha, f"http://{web}/") == f"c saw {address}"
            await close(umbel, "a", "b")
            assert "302" in await curl(hb, "-i", f"http://{web}/")
            await umbel.ask("POST", "/clients", json={"address": address, "lifetime_s": 0.2})

            async def is_led() -> bool:
                return "302" in await curl(ha, "-i", f"http://{web}/")

            await until(is_led)
            assert await umbel.ask("GET", "/clients") == []


async def test_a_virtual_service_is_answered_nearby_and_moved_by_one_call(
    bed: Testbed, tmp_path: Path
) -> None:
    ha, hc = bed.hosts["ha"], bed.hosts["hc"]
    async with (
        site(bed, "a", 8081) as near,
        site(bed, "c", 8081) as far,
        platform(bed, tmp_path) as umbel,
    ):
        surrogates = [
            {"name": node, "node": node, "address": address, "port": 8081}
            for node, address in (("a", near), ("c", far))
        ]
        made = await umbel.ask(
            "PUT", "/services/video", json={"port": 80, "surrogates": surrogates}
        )
        url = f"http://{made['address']}/"
        assert await curl(ha, url) == f"a saw {_bare(ha.address)}"
        assert await curl(hc, url) == f"c saw {_bare(hc.address)}"
        await umbel.ask("POST", "/services/video/move", json={"node": "a", "surrogate": "c"})
        assert await curl(ha, url) == f"c saw {_bare(ha.address)}"
        await umbel.ask("DELETE", "/services/video")
        assert await curl(ha, url, within_s=1) == ""


def _bare(address: str) -> str:
    return address.partition("/")[0]
