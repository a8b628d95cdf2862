"""Names of languages. Pure."""

import re
from enum import StrEnum

_TAG = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}")
LONGEST = 30


class Language(StrEnum):
    """A language that the platform speaks to people, as its tag in BCP 47."""

    ENGLISH = "en"
    GERMAN = "de"


def is_tag(text: str) -> bool:
    """Whether it is a language tag as in BCP 47, such as `en-US` or `de`."""
    return _TAG.fullmatch(text) is not None
