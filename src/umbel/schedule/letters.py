"""What letters about events say. Pure. In: a message. Out: a letter, its times in the zone that the
account chose."""

from datetime import datetime

from umbel.catalogue.outbox.model import Message, MessageKind
from umbel.kit import time_zones
from umbel.notify.model import Letter

_REMINDER = """Hello {username},

you reserved "{title}" by {provider}. It begins in {lead}, at {starts}.
{link}
You get this e-mail because you reserved the event. Choose in your account when and how you are
reminded, or cancel the reservation in the calendar.
"""
_LIVE = """Hello {username},

"{title}" by {provider} is live now.
{link}
You get this e-mail because you follow the provider or reserved the event. Choose in your account
how you hear of it.
"""
_UNITS = ((86_400, "day"), (3_600, "hour"), (60, "minute"))


def letter(of: Message, *, url: str, now_s: float) -> Letter:
    """The letter; `url` is the front end's, or empty."""
    text = (_REMINDER if of.kind is MessageKind.REMINDER else _LIVE).format(
        username=of.username,
        title=of.title,
        provider=of.provider_name,
        starts=_moment(of.starts_s, of.time_zone),
        lead=distance(of.starts_s - now_s),
        link=f"\n{url}/watch/{of.event_id}\n" if url else "",
    )
    begin = "Soon" if of.kind is MessageKind.REMINDER else "Live now"
    return Letter(to=of.email, subject=f"{begin}: {of.title}", text=text, id=of.id)


def distance(left_s: float) -> str:
    """How long it is until then, in the largest unit of which there is one, rounded."""
    for unit_s, name in _UNITS:
        count = round(left_s / unit_s)
        if count >= 1 and (left_s >= 0.9 * unit_s):
            return f"{count} {name}{'' if count == 1 else 's'}"
    return "less than a minute"


def _moment(at_s: float, zone: str) -> str:
    found = time_zones.find(zone) or time_zones.find("UTC")
    at = datetime.fromtimestamp(at_s, found)
    return f"{at:%H:%M} on {at.day} {at:%B %Y} ({zone})"
