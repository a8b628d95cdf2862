"""E-mails say the same in each language: all placeholders are there, and nothing else is."""

from datetime import UTC, datetime
from string import Formatter

import pytest

from umbel.catalogue.outbox.model import Message, MessageKind
from umbel.kit.languages import Language
from umbel.notify.texts import TEXTS, Text
from umbel.schedule import letters

NAMES = ("reminder", "live", "confirm_email", "new_password")
DAY_S = 86_400


def placeholders(text: Text) -> set[str]:
    fields = [*Formatter().parse(text.subject), *Formatter().parse(text.body)]
    return {name for _, name, _, _ in fields if name is not None}


@pytest.mark.parametrize("name", NAMES)
def test_each_language_has_all_placeholders(name: str) -> None:
    assert set(TEXTS) == set(Language)
    found = {frozenset(placeholders(getattr(texts, name))) for texts in TEXTS.values()}
    assert len(found) == 1
    assert max(found), "there are some"


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize("kind", MessageKind)
def test_letters_of_each_language(language: Language, kind: MessageKind) -> None:
    starts_s = datetime(2027, 3, 14, 18, 5, tzinfo=UTC).timestamp()
    message = Message(
        id="m",
        username="ann",
        kind=kind,
        target="",
        lead_s=DAY_S,
        expires_s=starts_s,
        failures=0,
        event_id="ev_1",
        title="Grüße {title} %s",
        provider_name="{City}",
        starts_s=starts_s,
        email="ann@example.org",
        time_zone="Europe/Berlin",
        language=language,
    )
    letter = letters.letter(message, url="https://live.example.org", now_s=starts_s - 2 * DAY_S)
    assert "Grüße {title} %s" in letter.subject, "what people wrote is no template"
    assert "\nhttps://live.example.org/watch/ev_1\n" in letter.text
    assert "{City}" in letter.text
    if kind is MessageKind.REMINDER:
        wanted = {
            Language.ENGLISH: "in 2 days, at 19:05 on 14 March 2027 (Europe/Berlin).",
            Language.GERMAN: "in 2 Tagen: am 14. März 2027 um 19:05 Uhr (Europe/Berlin).",
        }
        assert wanted[language] in letter.text


@pytest.mark.parametrize(
    ("left_s", "text"),
    [
        (DAY_S, "1 Tag"),
        (2 * DAY_S, "2 Tagen"),
        (3_600, "1 Stunde"),
        (7_200, "2 Stunden"),
        (60, "1 Minute"),
        (300, "5 Minuten"),
        (5, "weniger als einer Minute"),
    ],
)
def test_german_distances(left_s: float, text: str) -> None:
    assert TEXTS[Language.GERMAN].distance(left_s) == text
