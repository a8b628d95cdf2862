"""Kubeconfig files: what they give, and what of them is refused. Pure."""

import base64
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from support.certificates import Authority
from support.examples import examples
from umbel.compute.clusters import kubeconfig
from umbel.compute.clusters.model import BadCluster, Credentials

AUTHORITY = Authority()
CERTIFICATE, KEY = AUTHORITY.client("umbel", "operators")


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def document() -> dict[str, Any]:
    """Two contexts; the current one signs in by a token."""
    return {
        "current-context": "town",
        "contexts": [
            {"name": "town", "context": {"cluster": "c", "user": "robot", "namespace": "video"}},
            {"name": "city", "context": {"cluster": "c", "user": "person"}},
        ],
        "clusters": [
            {
                "name": "c",
                "cluster": {
                    "server": "https://192.0.2.11:6443/",
                    "certificate-authority-data": encoded(AUTHORITY.pem),
                },
            }
        ],
        "users": [
            {"name": "robot", "user": {"token": "abc.def-_~"}},
            {
                "name": "person",
                "user": {
                    "client-certificate-data": encoded(CERTIFICATE),
                    "client-key-data": encoded(KEY),
                },
            },
        ],
    }


def test_the_current_context_is_read() -> None:
    credentials, namespace = kubeconfig.parse(yaml.safe_dump(document()))
    assert credentials == Credentials(
        server="https://192.0.2.11:6443", authority=AUTHORITY.pem, token="abc.def-_~"
    )
    assert (credentials.kind, namespace) == ("token", "video")


def test_another_context_may_be_named() -> None:
    credentials, namespace = kubeconfig.parse(yaml.safe_dump(document()), "city")
    assert (credentials.certificate, credentials.key) == (CERTIFICATE, KEY)
    assert (credentials.kind, namespace) == ("certificate", "")


def test_credentials_do_not_show_their_secrets() -> None:
    for context in ("town", "city"):
        credentials, _ = kubeconfig.parse(yaml.safe_dump(document()), context)
        assert "abc.def" not in repr(credentials)
        assert "PRIVATE KEY" not in repr(credentials)


Change = Callable[[dict[str, Any], dict[str, Any]], object]
"""Of the cluster and the user of the current context."""
REFUSED: list[tuple[Change, str]] = [
    (lambda c, u: u.update({"exec": {"command": "steal"}}), "exec runs a program"),
    (lambda c, u: u.update({"auth-provider": {"name": "x"}}), "auth-provider runs a program"),
    (lambda c, u: u.update({"tokenFile": "/etc/shadow"}), "tokenFile names a file"),
    (lambda c, u: u.update({"client-key": "/etc/shadow"}), "client-key names a file"),
    (lambda c, u: c.update({"certificate-authority": "/etc/shadow"}), "authority names a file"),
    (lambda c, u: c.update({"insecure-skip-tls-verify": True}), "insecure-skip-tls-verify is not"),
    (lambda c, u: c.update({"proxy-url": "http://192.0.2.1"}), "proxy-url is not supported"),
    (lambda c, u: u.clear(), "neither a token nor a client certificate"),
    (lambda c, u: u.update({"token": "a\nb"}), "characters that no token has"),
    (lambda c, u: u.update({"token": ["a"]}), "token is no text"),
    (lambda c, u: u.update({"client-key-data": encoded("x")}), "client-key-data holds no key"),
    (lambda c, u: u.update({"client-key-data": "$"}), "is not PEM in base64"),
    (lambda c, u: c.update({"certificate-authority-data": encoded("x")}), "no certificate"),
    (lambda c, u: c.update({"server": "http://192.0.2.11"}), "the server's URL"),
    (lambda c, u: c.update({"server": "https://a:b@192.0.2.11"}), "the server's URL"),
    (lambda c, u: c.update({"server": "https://[::1"}), "the server's URL"),
    (lambda c, u: c.update({"server": "https://h:99999"}), "the server's URL"),
    (lambda c, u: c.pop("server"), "the server's URL"),
]


@pytest.mark.parametrize(("change", "problem"), REFUSED, ids=[text for _, text in REFUSED])
def test_what_cannot_be_used_is_refused(change: Change, problem: str) -> None:
    made = document()
    change(made["clusters"][0]["cluster"], made["users"][0]["user"])
    with pytest.raises(BadCluster, match=problem):
        kubeconfig.parse(yaml.safe_dump(made))


def test_all_problems_are_said_at_once() -> None:
    made = document()
    made["clusters"][0]["cluster"] = {"server": "x", "proxy-url": "y"}
    made["users"][0]["user"] = {"exec": {"command": "z"}}
    with pytest.raises(BadCluster) as refused:
        kubeconfig.parse(yaml.safe_dump(made))
    problems = refused.value.details["problems"]
    assert isinstance(problems, list)
    assert len(problems) == 4


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "not a mapping"),
        ("- a", "not a mapping"),
        ("a: 1\ntoken: s3cret: {", "not YAML in line 2"),
        ("[" * 1000, "not YAML"),
        ("a: 1", "no current-context"),
        ("current-context: a", "no context 'a'"),
        ("current-context: a\ncontexts: [1, {name: a, context: []}]", "no context 'a'"),
        ("x" * (kubeconfig.MOST_BYTES + 1), "larger than 128 kB"),
    ],
)
def test_what_is_no_kubeconfig_is_refused(text: str, problem: str) -> None:
    with pytest.raises(BadCluster, match=problem) as refused:
        kubeconfig.parse(text)
    assert "s3cret" not in refused.value.message


SCALARS = st.none() | st.booleans() | st.integers() | st.text(max_size=20)
VALUES = st.recursive(
    SCALARS, lambda v: st.lists(v) | st.dictionaries(st.text(max_size=5), v), max_leaves=5
)
PARTS = ("current-context", "contexts", "clusters", "users")


@examples(50)
@given(st.text(), st.sampled_from(PARTS), VALUES, st.booleans())
def test_a_file_gives_usable_credentials_or_one_clear_error(
    text: str, part: str, value: object, is_inner: bool
) -> None:
    made = document()
    if is_inner and part != "current-context":
        made[part][0][part.removesuffix("s")] = {"server": value, "token": value, "user": value}
    else:
        made[part] = value
    for written in (text, yaml.safe_dump(made)):
        try:
            credentials, _ = kubeconfig.parse(written)
        except BadCluster as error:
            assert error.message
        else:
            assert credentials.server.startswith("https://")
            assert credentials.token or credentials.key
