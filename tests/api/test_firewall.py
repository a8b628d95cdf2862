"""The firewall over REST and by `umbel firewall`: who may, what is refused and shown."""

import asyncio
import re

from typer.testing import CliRunner, Result

from api.test_guests import running
from support.http import PASSWORD, World
from umbel.cli import app

URL = "/api/v1/firewall-rules"
LOGGED = re.compile(r"\S+ \S+ \[[a-z]+ *\] ")
RULE = {"function": "guest-9", "transport": "tcp", "ports": "443", "sources": ["192.0.2.0/24"]}
CALLS = [("GET", "", None), ("POST", "", RULE), ("DELETE", "/fw_1", None)]


async def firewall(url: str, *words: str) -> Result:
    env = {"UMBEL_URL": url, "UMBEL_USER": "operator", "UMBEL_PASSWORD": PASSWORD}
    env["COLUMNS"] = "160"
    return await asyncio.to_thread(lambda: CliRunner().invoke(app, ["firewall", *words], env=env))


def said(result: Result) -> list[str]:
    """Without the platform's log: it is in the same process here."""
    assert result.exit_code == 0, result.output
    return [line.strip() for line in result.stdout.splitlines() if not LOGGED.match(line)]


async def test_only_operators_close_ports(here: World) -> None:
    for who, status in (("city", 403), ("", 401)):
        headers = here.as_(who) if who else {}
        for method, path, body in CALLS:
            answer = await here.client.request(method, f"{URL}{path}", json=body, headers=headers)
            assert answer.status_code == status, (method, path)


async def test_what_is_no_rule_is_refused(here: World) -> None:
    operator = here.as_("operator")
    await running(here)
    for change, code in (
        ({"function": "nobody"}, "umbel.no_such_guest"),
        ({"function": "process-1"}, "umbel.no_firewall_there"),
        ({"ports": "rtmp"}, "umbel.bad_firewall_rule"),
        ({"ports": "9-3"}, "umbel.bad_firewall_rule"),
        ({"ports": "; rm"}, "umbel.unprocessable"),
        ({"sources": ["192.0.2.1/24"]}, "umbel.bad_firewall_rule"),
        ({"sources": []}, "umbel.unprocessable"),
        ({"transport": "sctp"}, "umbel.unprocessable"),
    ):
        answer = await here.client.post(URL, json=RULE | change, headers=operator)
        assert answer.json()["code"] == code, change
    gone = await here.client.delete(f"{URL}/fw_1", headers=operator)
    assert gone.json()["code"] == "umbel.no_such_firewall_rule"
    assert (await here.client.get(URL, headers=operator)).json() == []


async def test_an_operator_closes_a_port(there: tuple[World, str]) -> None:
    here, url = there
    guest = await running(here)
    network = ("--source", "192.0.2.0/24", "--source", "2001:db8::/64")
    (line,) = said(await firewall(url, "allow", guest, "443", *network))
    rule = line.partition(":")[0]
    assert line == f"{rule}: tcp 443 of guest-9 takes from 192.0.2.0/24, 2001:db8::/64 alone"
    at = here.system.plane.far.firewall
    assert not at.lets_in(guest, "203.0.113.1", "tcp", 443)
    shown = said(await firewall(url, "list", "--function", guest))[1].split()
    assert shown[:5] == [rule, guest, "pe9", "tcp", "443"]
    assert said(await firewall(url, "remove", rule)) == [f"removed {rule}"]
    assert at.lets_in(guest, "203.0.113.1", "tcp", 443)
    lost = await firewall(url, "remove", rule)
    assert lost.exit_code == 2
    assert "umbel.no_such_firewall_rule" in lost.stderr
