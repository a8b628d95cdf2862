"""Which content codings a client accepts (RFC 9110, 12.5.3)."""

import pytest

from umbel.kit.http import accepts_coding


@pytest.mark.parametrize(
    ("header", "accepted"),
    [
        ("gzip", True),
        ("GZIP, deflate, br", True),
        ("deflate, gzip;q=0.5", True),
        ("deflate, gzip ; q=0.001", True),
        ("*", True),
        ("", False),
        ("identity", False),
        ("gzip;q=0", False),
        ("gzip; q=0.000, *", False),
        ("*;q=0", False),
        ("xgzip, gzip2", False),
    ],
)
def test_what_a_header_accepts(header: str, accepted: bool) -> None:
    assert accepts_coding(header, "gzip") is accepted
