"""What e-mails say, in the languages that accounts choose from. Pure. Placeholders are in braces.

The web app has the same languages (web/src/i18n/language.ts), and its own texts.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType

from umbel.kit.languages import Language


@dataclass(frozen=True, kw_only=True)
class Text:
    """An e-mail's subject and body."""

    subject: str
    body: str


@dataclass(frozen=True, kw_only=True)
class Texts:
    """All e-mails of a language. `units` are a length's, the longest first: seconds, for one, for
    several; `moment` writes a date and a time."""

    reminder: Text
    live: Text
    confirm_email: Text
    new_password: Text
    units: tuple[tuple[int, str, str], ...]
    less_than_a_minute: str
    moment: Callable[[datetime], str]

    def distance(self, left_s: float) -> str:
        """How long it is until then, in the largest unit of which there is one, rounded."""
        for unit_s, one, several in self.units:
            count = round(left_s / unit_s)
            if count >= 1 and left_s >= 0.9 * unit_s:
                return f"{count} {one if count == 1 else several}"
        return self.less_than_a_minute


def _english_moment(at: datetime) -> str:
    months = (
        *("January", "February", "March", "April", "May", "June", "July"),
        *("August", "September", "October", "November", "December"),
    )
    return f"{at:%H:%M} on {at.day} {months[at.month - 1]} {at.year}"


def _german_moment(at: datetime) -> str:
    months = (
        *("Januar", "Februar", "März", "April", "Mai", "Juni", "Juli"),
        *("August", "September", "Oktober", "November", "Dezember"),
    )
    return f"{at.day}. {months[at.month - 1]} {at.year} um {at:%H:%M} Uhr"


_ENGLISH = Texts(
    reminder=Text(
        subject="Soon: {title}",
        body="""Hello {username},

you reserved "{title}" by {provider}. It begins in {lead}, at {starts}.
{link}
You get this e-mail because you reserved the event. Choose in your account when and how you are
reminded, or cancel the reservation in the calendar.
""",
    ),
    live=Text(
        subject="Live now: {title}",
        body="""Hello {username},

"{title}" by {provider} is live now.
{link}
You get this e-mail because you follow the provider or reserved the event. Choose in your account
how you hear of it.
""",
    ),
    confirm_email=Text(
        subject="Confirm your e-mail address",
        body="""Hello {username},

somebody, most likely you, gave this e-mail address for the account {username} at {url}.

Open this page and press the button to confirm the address:

{link}

The link works for a day. If it was not you, do nothing.
""",
    ),
    new_password=Text(
        subject="Choose a new password",
        body="""Hello {username},

somebody, most likely you, asked for a new password for the account {username} at {url}.

Open this page to choose one:

{link}

The link works once, for an hour. A new password signs out all your devices. If it was not you, do
nothing: your password stays as it is.
""",
    ),
    units=((86_400, "day", "days"), (3_600, "hour", "hours"), (60, "minute", "minutes")),
    less_than_a_minute="less than a minute",
    moment=_english_moment,
)
_GERMAN = Texts(
    reminder=Text(
        subject="Bald: {title}",
        body="""Hallo {username},

Sie haben „{title}“ von {provider} vorgemerkt. Die Veranstaltung beginnt in {lead}: am {starts}.
{link}
Sie erhalten diese E-Mail, weil Sie die Veranstaltung vorgemerkt haben. Wann und wie Sie erinnert
werden, wählen Sie in Ihrem Konto. Die Vormerkung können Sie im Kalender aufheben.
""",
    ),
    live=Text(
        subject="Jetzt live: {title}",
        body="""Hallo {username},

„{title}“ von {provider} ist jetzt live.
{link}
Sie erhalten diese E-Mail, weil Sie dem Anbieter folgen oder die Veranstaltung vorgemerkt haben.
Wie Sie davon erfahren, wählen Sie in Ihrem Konto.
""",
    ),
    confirm_email=Text(
        subject="Bestätigen Sie Ihre E-Mail-Adresse",
        body="""Hallo {username},

jemand, vermutlich Sie selbst, hat diese E-Mail-Adresse für das Konto {username} bei {url}
angegeben.

Öffnen Sie diese Seite und bestätigen Sie dort die Adresse:

{link}

Der Link gilt einen Tag lang. Wenn Sie es nicht waren, müssen Sie nichts tun.
""",
    ),
    new_password=Text(
        subject="Wählen Sie ein neues Passwort",
        body="""Hallo {username},

jemand, vermutlich Sie selbst, möchte ein neues Passwort für das Konto {username} bei {url}.

Öffnen Sie diese Seite, um eines zu wählen:

{link}

Der Link gilt einmal und eine Stunde lang. Ein neues Passwort meldet alle Ihre Geräte ab. Wenn Sie
es nicht waren, müssen Sie nichts tun: Ihr Passwort bleibt, wie es ist.
""",
    ),
    units=((86_400, "Tag", "Tagen"), (3_600, "Stunde", "Stunden"), (60, "Minute", "Minuten")),
    less_than_a_minute="weniger als einer Minute",
    moment=_german_moment,
)
TEXTS: Mapping[Language, Texts] = MappingProxyType(
    {Language.ENGLISH: _ENGLISH, Language.GERMAN: _GERMAN}
)
