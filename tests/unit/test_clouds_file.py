"""clouds.yaml files: what is read of them, and what is refused."""

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from umbel.compute.clouds import clouds_file
from umbel.compute.clouds.model import BadCloud, CloudCredentials

URL = "https://192.0.2.11:5000/v3"
APPLICATION = {"application_credential_id": "a1", "application_credential_secret": "s3cret"}
PASSWORD = {"username": "umbel", "password": "s3cret", "project_name": "video"}


def text(auth: dict[str, Any], **cloud: Any) -> str:
    return yaml.safe_dump({"clouds": {"lab": {"auth": {"auth_url": URL, **auth}, **cloud}}})


def test_an_application_credential_is_read() -> None:
    made = clouds_file.parse(
        text(APPLICATION, region_name="one", auth_type="v3applicationcredential")
    )
    assert made == CloudCredentials(url=URL, region="one", id="a1", secret="s3cret")
    assert made.kind == "application-credential"


def test_a_password_is_read() -> None:
    made = clouds_file.parse(text({**PASSWORD, "user_domain_name": "corp"}, interface="internal"))
    assert (made.user, made.user_domain, made.project_domain) == ("umbel", "corp", "Default")
    assert (made.kind, made.interface) == ("password", "internal")
    assert "s3cret" not in repr(made)


def test_a_cloud_of_several_is_named() -> None:
    several = yaml.safe_dump(
        {"clouds": {name: {"auth": {"auth_url": URL, **PASSWORD}} for name in ("a", "b")}}
    )
    assert clouds_file.parse(several, "b").user == "umbel"
    with pytest.raises(BadCloud, match="several clouds"):
        clouds_file.parse(several)
    with pytest.raises(BadCloud, match="no cloud 'c'"):
        clouds_file.parse(several, "c")


@pytest.mark.parametrize(
    ("auth", "cloud", "problem"),
    [
        ({}, {}, "auth has no username and no application credential"),
        ({"application_credential_id": "a"}, {}, "an id and a secret"),
        (PASSWORD, {"cacert": "/etc/ssl/ca.pem"}, "cacert is no certificate"),
        (PASSWORD, {"cert": "/x", "key": "/y"}, "cert names a file"),
        (PASSWORD, {"profile": "vexxhost"}, "profile names a file"),
        (PASSWORD, {"verify": False}, "verify: false"),
        (PASSWORD, {"auth_type": "v3oidcpassword"}, "is not supported"),
        (PASSWORD, {"interface": "any"}, "interface is none"),
        ({**PASSWORD, "token": "t"}, {}, "token expires"),
        ({**PASSWORD, "auth_url": "file:///etc/passwd"}, {}, "auth_url is not such"),
        ({**PASSWORD, "auth_url": "https://u:p@192.0.2.1"}, {}, "auth_url is not such"),
        ({**PASSWORD, "password": 7}, {}, "password is no text"),
        ({**PASSWORD, "username": "x" * 2000}, {}, "username is no text of at most"),
    ],
)
def test_what_cannot_be_used_is_refused(
    auth: dict[str, Any], cloud: dict[str, Any], problem: str
) -> None:
    with pytest.raises(BadCloud) as refused:
        clouds_file.parse(text(auth, **cloud))
    assert problem in str(refused.value)
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize(
    "given_text",
    [
        "",
        "[]",
        "clouds: {}",
        "clouds: {a: 1}",
        "clouds: {a: {auth: 1}}",
        "a: [s3cret",
        "x" * 200000,
    ],
)
def test_what_is_no_such_file_is_refused_and_not_quoted(given_text: str) -> None:
    with pytest.raises(BadCloud) as refused:
        clouds_file.parse(given_text)
    assert "s3cret" not in str(refused.value)


@given(
    st.recursive(
        st.none() | st.text() | st.integers(),
        lambda s: st.dictionaries(
            st.sampled_from(
                ["clouds", "lab", "auth", "auth_url", "cacert", "password", "username"]
            ),
            s,
        ),
    )
)
def test_any_document_is_read_or_refused(document: object) -> None:
    try:
        read = clouds_file.parse(yaml.safe_dump(document))
    except BadCloud:
        return
    assert read.url.startswith("http")
