"""Where clients of a closed network are sent, whatever they ask for."""

from urllib.parse import parse_qs, urlsplit

from hypothesis import given
from hypothesis import strategies as st

from umbel.network.edge.gates import PortalAddress
from umbel.portal import captive

FRONT = PortalAddress(address="10.97.0.1", port=8000)


def scope(host: bytes, path: bytes, query: bytes = b"", method: str = "GET") -> dict[str, object]:
    return {
        "type": "http",
        "method": method,
        "path": path.decode("latin-1"),
        "raw_path": path,
        "query_string": query,
        "headers": [(b"host", host)] if host else [],
    }


@given(st.binary(max_size=3_000), st.binary(max_size=50), st.binary(max_size=50))
def test_any_request_is_answered_with_a_header_that_can_be_sent(
    host: bytes, path: bytes, query: bytes
) -> None:
    following = captive.requested_url(scope(host, b"/" + path, query))
    assert len(following) <= captive.MOST_NEXT
    location = captive.page_of(FRONT, following)
    assert location.isascii()
    assert location.isprintable()
    parts = urlsplit(location)
    assert (parts.netloc, parts.path) == ("10.97.0.1:8000", captive.PAGE)
    assert parse_qs(parts.query).get("next", [""]) == [following]


def test_what_cannot_be_asked_for_again_is_not_remembered() -> None:
    assert captive.requested_url(scope(b"a.example", b"/x", b"y=1")) == "http://a.example/x?y=1"
    assert captive.requested_url(scope(b"a.example", b"/x", method="POST")) == ""
    assert captive.requested_url(scope(b"", b"/x")) == ""
    assert captive.requested_url(scope(b"a.example", b"/" + b"x" * 2_000)) == ""
    assert (
        captive.page_of(PortalAddress(address="10.97.0.1", port=80), "")
        == "http://10.97.0.1/welcome"
    )
