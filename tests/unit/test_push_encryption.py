"""Web push on the wire: RFC 8291's own example, and what comes from strangers."""

import os

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from umbel.kit import derived_keys, hosts, push_encryption, vapid
from umbel.kit.push_encryption import BadPushMessage, decode, encode, parse_keys
from umbel.kit.vapid import Vapid
from umbel.notify import endpoints
from umbel.notify.drivers.webpush import _retry_after_s
from umbel.notify.ports import PushRefused

# RFC 8291, appendix A
PLAIN = b"When I grow up, I want to be a watermelon"
AUTH = "BTBZMqHH6r4Tts7J_aSIgg"
RECEIVER = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
RECEIVER_PRIVATE = "q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94"
SENDER_PRIVATE = "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"
SALT = "DGv6ra1nlYgDCS1FRnbzlw"
BODY = (
    "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6"
    "TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulc"
    "y4a-fN"
)
NOW_S = 1_803_000_000.0
ORIGIN = "https://push.example.net"


def private(text: str) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(int.from_bytes(decode(text)), push_encryption.CURVE)


def test_the_standards_own_example() -> None:
    body = push_encryption.encrypt(
        PLAIN, parse_keys(RECEIVER, AUTH), salt=decode(SALT), key=private(SENDER_PRIVATE)
    )
    assert encode(body) == BODY
    assert push_encryption.decrypt(body, private(RECEIVER_PRIVATE), decode(AUTH)) == PLAIN


@given(st.binary(max_size=push_encryption.MOST_PAYLOAD))
def test_any_payload_arrives_in_a_body_that_services_take(payload: bytes) -> None:
    key = private(RECEIVER_PRIVATE)
    body = push_encryption.encrypt(
        payload, parse_keys(RECEIVER, AUTH), salt=os.urandom(16), key=private(SENDER_PRIVATE)
    )
    assert len(body) <= 4_096
    assert push_encryption.decrypt(body, key, decode(AUTH)) == payload


def test_the_longest_payload() -> None:
    keys, key = parse_keys(RECEIVER, AUTH), private(SENDER_PRIVATE)
    most = push_encryption.MOST_PAYLOAD
    longest = push_encryption.encrypt(b"x" * most, keys, salt=b"s" * 16, key=key)
    assert len(longest) == 4_096
    with pytest.raises(BadPushMessage):
        push_encryption.encrypt(b"x" * (most + 1), keys, salt=b"s" * 16, key=key)


@given(st.binary(max_size=400))
def test_no_body_breaks_the_browsers_side(body: bytes) -> None:
    with pytest.raises(BadPushMessage):
        push_encryption.decrypt(body, private(RECEIVER_PRIVATE), decode(AUTH))


@given(st.integers(0, 10**9), st.integers(1, 255))
def test_a_changed_byte_is_seen(place: int, change: int) -> None:
    body = bytearray(decode(BODY))
    place %= len(body)
    if 16 <= place < 20:
        return  # the record's size, which may be any that the record fits into
    body[place] ^= change
    with pytest.raises(BadPushMessage):
        push_encryption.decrypt(bytes(body), private(RECEIVER_PRIVATE), decode(AUTH))


@given(st.text(max_size=120), st.text(max_size=40))
def test_no_keys_of_a_stranger_break_the_parser(p256dh: str, auth: str) -> None:
    with pytest.raises(BadPushMessage):
        parse_keys(p256dh, auth)


@pytest.mark.parametrize(
    ("p256dh", "auth"),
    [
        (RECEIVER, AUTH[:-2]),
        (RECEIVER[:-2], AUTH),
        (encode(b"\x04" + b"\x01" * 64), AUTH),  # not on the curve
        (encode(b"\x00" * 65), AUTH),
        (RECEIVER, AUTH + "é"),
    ],
)
def test_keys_that_are_none(p256dh: str, auth: str) -> None:
    with pytest.raises(BadPushMessage):
        parse_keys(p256dh, auth)


# -- who sends ------------------------------------------------------------------------------


def test_a_token_is_for_one_service_for_half_a_day_and_used_again() -> None:
    sender = Vapid(key=private(SENDER_PRIVATE), contact="mailto:ops@example.org")
    header = sender.authorization(ORIGIN, NOW_S)
    assert sender.authorization(ORIGIN, NOW_S + 6 * 3_600 - 1) == header
    assert vapid.check(header, ORIGIN, NOW_S) == sender.public_key
    token = header.partition("t=")[2].partition(",")[0]
    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims == {
        "aud": ORIGIN,
        "exp": int(NOW_S) + 43_200,
        "sub": "mailto:ops@example.org",
    }
    assert jwt.get_unverified_header(token) == {"alg": "ES256", "typ": "JWT"}
    later = sender.authorization(ORIGIN, NOW_S + 6 * 3_600)
    assert later != header
    assert vapid.check(later, ORIGIN, NOW_S + 12 * 3_600) == sender.public_key
    back = sender.authorization(ORIGIN, NOW_S - 86_400)
    assert vapid.check(back, ORIGIN, NOW_S - 86_400), "where the clock was set back, too"
    for origin, at_s in (("https://other.example.net", NOW_S), (ORIGIN, NOW_S + 50_000)):
        with pytest.raises(BadPushMessage):
            vapid.check(header, origin, at_s)
    other = Vapid(key=ec.generate_private_key(push_encryption.CURVE))
    with pytest.raises(BadPushMessage):
        vapid.check(header.replace(sender.public_key, other.public_key), ORIGIN, NOW_S)


@given(st.text(max_size=100))
def test_no_header_breaks_the_services_side(text: str) -> None:
    for header in (text, f"vapid {text}", f"vapid t={text}, k={RECEIVER}"):
        with pytest.raises(BadPushMessage):
            vapid.check(header, ORIGIN, NOW_S)


def test_the_key_follows_from_the_installations_secret() -> None:
    first, second = (derived_keys.p256(b"master", purpose) for purpose in (b"a", b"b"))
    again = derived_keys.p256(b"master", b"a")
    assert Vapid(key=first).public_key == Vapid(key=again).public_key
    assert Vapid(key=first).public_key != Vapid(key=second).public_key
    assert len(decode(Vapid(key=first).public_key)) == 65
    assert "key=" not in repr(Vapid(key=first))


# -- where to -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "http://push.example.net/x",
        "ftp://push.example.net/x",
        "https://127.0.0.1/x",
        "https://[::1]/x",
        "https://10.0.0.1/x",
        "https://192.168.1.1:8443/x",
        "https://169.254.169.254/latest/meta-data",
        "https://100.64.0.1/x",
        "https://0.0.0.0/x",
        "https://224.0.0.1/x",
        "https://[::ffff:10.0.0.1]/x",
        "https://[64:ff9b::a00:1]/x",
        "https://[2002:a00:1::]/x",
        "https://[fd00::1]/x",
        "https://user:pass@push.example.net/x",
        "https://push.example.net/x#y",
        "https://push.example.net\\@10.0.0.1/x",
        "https://push.example.net:0/x",
        "https://push.example.net:99999/x",
        "https:///x",
        "https://127.1/x",
        "https://pu sh.example.net/x",
        "https://push.example.net/" + "x" * 1_024,
        "https://[::1/x",
        "",
    ],
)
def test_where_no_push_goes(url: str) -> None:
    with pytest.raises(PushRefused):
        endpoints.parse(url, allow_private=False)


@pytest.mark.parametrize(
    ("url", "origin", "path"),
    [
        ("https://push.example.net/a/b?c=d", ORIGIN, "/a/b?c=d"),
        ("https://PUSH.example.net:443", ORIGIN, "/"),
        ("https://push.example.net:8443/a", f"{ORIGIN}:8443", "/a"),
        ("https://8.8.8.8/a", "https://8.8.8.8", "/a"),
        ("https://[2600::1]:444/a", "https://[2600::1]:444", "/a"),
    ],
)
def test_where_pushes_go(url: str, origin: str, path: str) -> None:
    found = endpoints.parse(url, allow_private=False)
    assert (found.origin, found.path) == (origin, path)


@given(st.text(max_size=60), st.booleans())
def test_no_text_breaks_the_endpoints(text: str, allow_private: bool) -> None:
    for url in (text, f"https://{text}"):
        try:
            found = endpoints.parse(url, allow_private=allow_private)
        except PushRefused:
            continue
        assert found.scheme == "https" or allow_private
        assert allow_private or not hosts.is_address(found.host) or hosts.is_public(found.host)


@pytest.mark.parametrize(
    ("text", "after_s"),
    [
        ("120", 120),
        ("99999999999999", 86_400),
        ("Fri, 19 Feb 2027 01:00:00 GMT", 3_600),
        ("Fri, 19 Feb 2021 01:00:00 GMT", 0),
        ("soon", 0),
        ("-5", 0),
        ("", 0),
    ],
)
def test_when_to_try_again(text: str, after_s: int) -> None:
    assert _retry_after_s(text, NOW_S - 4_800) == after_s


@given(st.text(max_size=60))
def test_no_retry_after_breaks_us(text: str) -> None:
    assert 0 <= _retry_after_s(text, NOW_S) <= 86_400
