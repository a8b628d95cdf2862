"""When subscribers are tried again or given up, how POSTs are signed, which callbacks are good."""

import hmac
import json
import re
import time
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from umbel.kit.sealing import Sealer, SecretSealed
from umbel.network import events
from umbel.notify import callbacks, rules, signing
from umbel.notify.callbacks import BadCallback
from umbel.notify.model import Kind, Notice, Place, Progress, SubscriberState
from umbel.notify.rules import Failure, Patience
from umbel.notify.signing import SignatureWrong

ROOT = Path(__file__).parents[2]
HOWTO = ROOT / "docs" / "howto" / "notifications.md"
EXAMPLE = ROOT / "examples" / "05-receive-notifications.py"
PATIENCE = Patience(
    first_wait_s=1.0, longest_wait_s=60.0, most_failures=8, longest_s=600.0, post_s=5.0
)
DEFAULT = {"http": 80, "https": 443}
REFUSED = Failure(reason="answered 500")
NOTICE = Notice(id=7, at_s=1.5, kind=Kind.LINK_DOWN, subject="a-b", body={"a": "a", "b": "b"})


def test_kinds_are_those_of_the_network() -> None:
    assert tuple(Kind) == events.KINDS


# -- back-off -------------------------------------------------------------------------------


def test_waits_double_up_to_the_longest() -> None:
    waits = [rules.wait_s(failures, 0.0, PATIENCE) for failures in range(1, 10)]
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]


@given(
    failures=st.integers(0, 10_000),
    draw=st.floats(0, 1, exclude_max=True),
    asked_s=st.floats(0, 1e6),
)
def test_a_wait_is_within_its_bounds(failures: int, draw: float, asked_s: float) -> None:
    whole = rules.wait_s(failures, 0.0, PATIENCE)
    drawn = rules.wait_s(failures, draw, PATIENCE)
    assert whole / 2 <= drawn <= whole
    asked = rules.wait_s(failures, draw, PATIENCE, asked_s)
    assert asked == max(drawn, min(asked_s, 60.0))


def test_a_failure_is_remembered_and_the_next_try_put_off() -> None:
    once = rules.failed(Progress(), REFUSED, 100.0, 0.0, PATIENCE)
    assert (once.state, once.failures, once.last_error) == ("failing", 1, "answered 500")
    assert (once.failing_since_s, once.retry_at_s) == (100.0, 101.0)
    assert rules.due_s(once, 100.25, PATIENCE) == 0.75
    assert rules.due_s(once, 300.0, PATIENCE) == 0.0
    twice = rules.failed(once, REFUSED, 101.0, 0.0, PATIENCE)
    assert (twice.failures, twice.failing_since_s, twice.retry_at_s) == (2, 100.0, 103.0)


def test_a_clock_that_was_set_back_costs_the_longest_wait_at_most() -> None:
    failing = rules.failed(Progress(), REFUSED, 1e9, 0.0, PATIENCE)
    assert rules.due_s(failing, 0.0, PATIENCE) == 60.0


def test_an_answer_makes_good() -> None:
    failing = rules.failed(Progress(), REFUSED, 100.0, 0.0, PATIENCE)
    well = rules.answered(failing, 9, 4, 130.0)
    assert (well.state, well.failures, well.failing_since_s) == ("active", 0, None)
    assert (well.cursor, well.sequence, well.delivered, well.last_answer_s) == (9, 4, 1, 130.0)
    assert well.last_error == "answered 500"
    assert rules.due_s(well, 130.0, PATIENCE) == 0.0


def test_given_up_after_so_many_failures() -> None:
    progress = Progress()
    states = []
    for _ in range(8):
        progress = rules.failed(progress, REFUSED, 100.0, 0.0, PATIENCE)
        states.append(progress.state)
    assert states == ["failing"] * 7 + ["dead"]
    assert rules.is_dead(progress)
    assert rules.revived(progress, 200.0).state is SubscriberState.ACTIVE


def test_given_up_after_so_long() -> None:
    failing = rules.failed(Progress(), REFUSED, 100.0, 0.0, PATIENCE)
    assert not rules.is_dead(rules.failed(failing, REFUSED, 699.0, 0.0, PATIENCE))
    assert rules.is_dead(rules.failed(failing, REFUSED, 700.0, 0.0, PATIENCE))


@pytest.mark.parametrize(
    ("status", "reason", "is_final"),
    [
        (302, "answered 302: redirects are not followed", False),
        (404, "answered 404", False),
        (410, "answered 410", True),
        (503, "answered 503", False),
    ],
)
def test_what_a_status_means(status: int, reason: str, is_final: bool) -> None:
    assert rules.classify(status, 3.0) == Failure(
        reason=reason, is_final=is_final, asked_s=0.0 if status == 302 else 3.0
    )


@pytest.mark.parametrize("status", [200, 202, 204, 299])
def test_good_statuses(status: int) -> None:
    assert rules.classify(status) is None


# -- functions ------------------------------------------------------------------------------


def test_a_moved_function_left_and_appeared() -> None:
    before = {"edge-a-1": Place(node="a", role="edge"), "edge-b-1": Place(node="b", role="edge")}
    now = {"edge-a-1": Place(node="c", role="edge"), "fwd-b-1": Place(node="b", role="forwarder")}
    told = [(n.kind, n.subject, n.body["function"]) for n in rules.changes(before, now, 1.0)]
    assert told == [
        ("function_left", "a", "edge-a-1"),
        ("function_left", "b", "edge-b-1"),
        ("function_appeared", "c", "edge-a-1"),
        ("function_appeared", "b", "fwd-b-1"),
    ]
    assert list(rules.changes(now, now, 1.0)) == []


# -- signatures -----------------------------------------------------------------------------


def test_a_signature_is_checked_as_the_howto_says() -> None:
    body = signing.body_of(NOTICE, 3)
    header = signing.sign("whsec_x", body, 1_700_000_000.9)
    assert header.startswith("t=1700000000,v1=")
    assert signing.verify("whsec_x", header, body, now_s=1_700_000_200.0) == 1_700_000_000
    assert json.loads(body) == {
        "id": 7,
        "sequence": 3,
        "kind": "link_down",
        "subject": "a-b",
        "at": "1970-01-01T00:00:01.500Z",
        "body": {"a": "a", "b": "b"},
    }


def test_the_signature_is_what_rfc_2104_gives() -> None:
    # openssl: printf '1700000000.{"a":1}' | openssl dgst -sha256 -hmac whsec_x
    assert signing.sign("whsec_x", b'{"a":1}', 1_700_000_000) == (
        "t=1700000000,v1=b3438763ab46d9634b9844c8722818eaf523f803db1327484c6067462a5fd6d1"
    )


def test_the_howto_and_the_example_check_signatures_as_we_make_them() -> None:
    (shown,) = re.findall(r"```python\n(.*?)```", HOWTO.read_text(), re.DOTALL)
    assert shown in EXAMPLE.read_text()
    names: dict[str, Any] = {"hmac": hmac, "re": re, "sha256": sha256, "time": time}
    exec(shown, names)
    body = signing.body_of(NOTICE, 3)
    now_s = time.time()
    is_genuine = names["is_genuine"]
    assert is_genuine("whsec_x", signing.sign("whsec_x", body, now_s), body)
    assert not is_genuine("whsec_y", signing.sign("whsec_x", body, now_s), body)
    assert not is_genuine("whsec_x", signing.sign("whsec_x", body, now_s), body + b" ")
    assert not is_genuine("whsec_x", signing.sign("whsec_x", body, now_s - 400), body)
    assert not is_genuine("whsec_x", "", body)


@pytest.mark.parametrize("change", ["secret", "body", "time", "late", "early"])
def test_what_was_changed_is_refused(change: str) -> None:
    body, now_s = signing.body_of(NOTICE, 3), 1_700_000_000.0
    header = signing.sign("whsec_x", body, now_s)
    secret = "whsec_y" if change == "secret" else "whsec_x"
    body = body + b" " if change == "body" else body
    header = header.replace("t=17", "t=18") if change == "time" else header
    now_s += {"late": 301.0, "early": -302.0}.get(change, 0.0)
    with pytest.raises(SignatureWrong):
        signing.verify(secret, header, body, now_s=now_s)


@given(header=st.text() | st.from_regex(r"t=\d*,v1=[0-9a-f]*", fullmatch=True), body=st.binary())
def test_any_header_is_judged(header: str, body: bytes) -> None:
    with pytest.raises(SignatureWrong):
        signing.verify("whsec_x", header, body, now_s=0.0)


# -- secrets at rest ------------------------------------------------------------------------


@given(secret=st.text(), name=st.text())
def test_a_sealed_secret_opens_beside_its_name_alone(secret: str, name: str) -> None:
    sealer = Sealer(b"master", "notices")
    sealed = sealer.seal(secret, name)
    assert sealer.open(sealed, name) == secret
    assert sealed != sealer.seal(secret, name)
    with pytest.raises(SecretSealed):
        sealer.open(sealed, name + "x")
    with pytest.raises(SecretSealed):
        Sealer(b"another", "notices").open(sealed, name)


@given(sealed=st.text(max_size=80) | st.from_regex(r"[A-Za-z0-9+/]{0,80}={0,2}", fullmatch=True))
def test_what_was_never_sealed_does_not_open(sealed: str) -> None:
    with pytest.raises(SecretSealed):
        Sealer(b"master", "notices").open(sealed, "sub")


# -- callbacks ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    ["http://a", "https://a.example:8443/x?y=z", "http://127.0.0.1:9/hook", "http://[::1]:9/"],
)
def test_good_callbacks(url: str) -> None:
    assert callbacks.check(url) == url


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("ftp://a/", "only http and https"),
        ("file:///etc/passwd", "only http and https"),
        ("a.example/x", "only http and https"),
        ("http://", "names no host"),
        ("http:///x", "names no host"),
        ("http://user:pw@a/", "user name"),
        ("http://user@a/", "user name"),
        ("http://a/#x", "fragment"),
        ("http://a\\@b/", "user name|backslash"),
        ("http://a/ b", "escape"),
        ("http://a/\r\nX: y", "escape"),
        ("http://ä/", "escape"),
        ("http://<>/", "neither a name nor an address"),
        ("http://[::1]1/", "neither a name nor an address|Invalid IPv6 URL"),
        ("http://1.2.3.999/", "neither a name nor an address"),
        ("http://a:0/", "port 0"),
        ("http://a:99999/", "(?i)port"),
        ("http://[::1/", "(?i)ipv6"),
        ("http://a/" + "x" * 2048, "longer"),
    ],
)
def test_bad_callbacks(url: str, why: str) -> None:
    with pytest.raises(BadCallback, match=why) as refused:
        callbacks.check(url)
    assert refused.value.http_status == 422


URL_CHARACTERS = "htps:/?#[]@!$&'()*+,;=%\\.0189abAB-_~<>{}|^`\" \t\x7fä"
URL_TEXTS = st.text() | st.text(alphabet=URL_CHARACTERS, max_size=12)


@given(
    st.sampled_from(["", "http://", "HTTPS://", "http://a", "http://[::1]", "ftp://", "//"]),
    URL_TEXTS,
)
@example("http://", "<>")
@example("http://", "a|b^c/x")
@example("http://", "[v1.a]/")
@example("http://", "[::1]1")
@example("http://", "1.2.3.999")
@example("http://", "[fe80::1%eth0]/")
@example("http://a", "/" + "x" * 2040)
@example("http://a", "/#x")
@example("http://a", "/\\")
@example("http://a", "/\x7f")
@example("http://a", "/ä")
def test_an_accepted_url_is_read_alike_by_who_posts_to_it(start: str, rest: str) -> None:
    """The judge is the client that posts: it finds the same host and port, and it sends no
    password and no fragment."""
    url = start + rest
    try:
        assert callbacks.check(url) == url
    except BadCallback:
        return
    judged = httpx.URL(url)
    split = urlsplit(url)
    assert judged.scheme in ("http", "https")
    assert judged.raw_host.decode().lower() == split.hostname != ""
    assert (judged.port or None) == (split.port if split.port != DEFAULT[judged.scheme] else None)
    assert (judged.userinfo, judged.fragment) == (b"", "")
    assert len(url) <= 2048
    assert not set(url) & {*map(chr, range(0x21)), "\x7f", "#", "\\"}
    assert url.isascii()


PARTS = "abzAZ09-._"


@given(
    scheme=st.sampled_from(["http", "https"]),
    host=st.text(alphabet="abz09-", min_size=1, max_size=20)
    | st.ip_addresses(v=4).map(str)
    | st.ip_addresses(v=6).map(lambda address: f"[{address}]"),
    port=st.none() | st.integers(1, 65535),
    path=st.lists(st.text(alphabet=PARTS, max_size=9), max_size=4),
    query=st.none() | st.text(alphabet=PARTS + "=&%", max_size=20),
)
def test_every_plain_url_is_accepted(
    scheme: str, host: str, port: int | None, path: list[str], query: str | None
) -> None:
    url = f"{scheme}://{host}{'' if port is None else f':{port}'}/{'/'.join(path)}"
    url += "" if query is None else f"?{query}"
    assert callbacks.check(url) == url
