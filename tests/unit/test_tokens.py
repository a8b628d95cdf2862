"""Tokens: what is signed is read back, by its own audience alone. Nothing else passes for one."""

import json

import jwt
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from support.clocks import SetClock
from umbel.kit.errors import Unauthenticated
from umbel.kit.tokens import (
    USER,
    VIEWER,
    Claims,
    Signer,
    TokenExpired,
    TokenForeign,
    TokenInvalid,
    TokenMissing,
    Verifier,
    new_private_key,
)
from umbel.media.server.viewer_tokens import ViewerTokens

SIGNER = Signer(new_private_key())
VERIFIER = Verifier(SIGNER.public_key)
ANOTHER = Verifier(Signer(new_private_key()).public_key)
CLAIMS = Claims(subject="ses_1", scope="ev_1", expires_s=100)
TOKEN = SIGNER.sign(CLAIMS, VIEWER)
HEADER, PAYLOAD, SIGNATURE = TOKEN.split(".")

audiences = st.sampled_from([VIEWER, USER])
characters = st.characters() | st.sampled_from("=._-AQgw\ud800")
claims = st.builds(Claims, subject=st.text(), scope=st.text(), expires_s=st.floats(1, 1e12))


@given(claims, audiences)
def test_what_is_signed_is_read_back_by_its_audience_until_it_expires(
    signed: Claims, audience: str
) -> None:
    token = SIGNER.sign(signed, audience)
    read = VERIFIER.verify(token, audience, now_s=0.0)
    assert (read.subject, read.scope) == (signed.subject, signed.scope)
    assert signed.expires_s - 1 < read.expires_s <= signed.expires_s
    with pytest.raises(TokenExpired):
        VERIFIER.verify(token, audience, now_s=read.expires_s)
    with pytest.raises(TokenForeign):
        VERIFIER.verify(token, USER if audience == VIEWER else VIEWER, now_s=0.0)
    with pytest.raises(TokenInvalid):
        ANOTHER.verify(token, audience, now_s=0.0)


@given(st.text() | st.from_regex(r"[\w-]{0,9}\.[\w-]{0,9}\.[\w-]{85}[AQgw]", fullmatch=True))
@example("\ud800")
def test_no_text_is_a_token_that_was_not_signed(text: str) -> None:
    with pytest.raises(TokenInvalid if text else TokenMissing):
        VERIFIER.verify(text, VIEWER, now_s=0.0)


@given(st.integers(0, len(TOKEN)), st.integers(0, 2), st.text(characters, max_size=3))
@example(len(TOKEN), 0, "==")
@example(len(TOKEN), 0, "\ud800")
@example(len(TOKEN) - 1, 1, chr(ord(TOKEN[-1]) + 1))
def test_a_token_with_any_change_is_refused(at: int, drop: int, new: str) -> None:
    changed = TOKEN[:at] + new + TOKEN[at + drop :]
    assume(changed not in (TOKEN, ""))
    with pytest.raises(TokenInvalid):
        VERIFIER.verify(changed, VIEWER, now_s=0.0)


@given(
    claims,
    st.sampled_from([("none", b""), ("HS256", SIGNER.public_key), ("HS256", b"x"), ("EdDSA", b"")]),
)
def test_claims_under_another_signature_are_refused(forged: Claims, by: tuple[str, bytes]) -> None:
    algorithm, secret = by
    body = {
        "sub": forged.subject,
        "scope": forged.scope,
        "aud": VIEWER,
        "exp": int(forged.expires_s),
    }
    header, payload = (
        jwt.utils.base64url_encode(json.dumps(part).encode()).decode()
        for part in ({"alg": algorithm, "typ": "JWT"}, body)
    )
    assume(payload != PAYLOAD)
    signature = SIGNATURE
    if algorithm == "HS256":
        mac = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
        raw = mac.sign(f"{header}.{payload}".encode(), secret)
        signature = jwt.utils.base64url_encode(raw).decode()
    for token in (f"{header}.{payload}.{signature}", f"{header}.{payload}."):
        with pytest.raises(TokenInvalid):
            VERIFIER.verify(token, VIEWER, now_s=0.0)


shown = st.tuples(
    st.integers(0, 3), st.sampled_from(["ev_1", "ev_2", ""]), st.sampled_from([0.0, 0.5, 40.0])
)


@given(st.lists(shown, max_size=12))
def test_an_edge_admits_a_session_to_its_stream_alone_also_when_it_knows_the_token(
    steps: list[tuple[int, str, float]],
) -> None:
    """The model: two viewers' tokens with their ends, a user's, and one that nobody signed."""
    known = [("ses_1", "ev_1", 100.0), ("ses_2", "ev_2", 60.0)]
    tokens = [
        SIGNER.sign(Claims(subject=who, scope=stream, expires_s=end), VIEWER)
        for who, stream, end in known
    ]
    tokens.append(SIGNER.sign(CLAIMS, USER))
    tokens.append(f"{HEADER}.{PAYLOAD}.{'A' * 86}")
    clock = SetClock()
    edge = ViewerTokens(VERIFIER, clock)
    for which, stream, passes_s in steps:
        clock.at_s += passes_s
        answer: str | type[Exception]
        try:
            answer = edge.session(tokens[which], stream)
        except (Unauthenticated, TokenForeign) as error:
            answer = type(error)
        if which >= len(known):
            assert answer is (TokenForeign if which == 2 else TokenInvalid)
            continue
        who, own, end = known[which]
        if clock.at_s >= end:
            assert answer is TokenExpired
        else:
            assert answer == (who if stream == own else TokenForeign)
