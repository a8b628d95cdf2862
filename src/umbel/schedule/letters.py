"""What letters about events say. Pure. In: a message. Out: a letter in the language, with its times
in the zone that the account chose."""

from datetime import datetime

from umbel.catalogue.outbox.model import Message, MessageKind
from umbel.kit import time_zones
from umbel.notify.model import Letter
from umbel.notify.texts import TEXTS, Texts


def letter(of: Message, *, url: str, now_s: float) -> Letter:
    """The letter; `url` is the front end's, or empty."""
    texts = TEXTS[of.language]
    text = texts.reminder if of.kind is MessageKind.REMINDER else texts.live
    values = {
        "username": of.username,
        "title": of.title,
        "provider": of.provider_name,
        "starts": _moment(texts, of.starts_s, of.time_zone),
        "lead": texts.distance(of.starts_s - now_s),
        "link": f"\n{url}/watch/{of.event_id}\n" if url else "",
    }
    return Letter(
        to=of.email,
        subject=text.subject.format_map(values),
        text=text.body.format_map(values),
        id=of.id,
    )


def _moment(texts: Texts, at_s: float, zone: str) -> str:
    found = time_zones.find(zone) or time_zones.find("UTC")
    return f"{texts.moment(datetime.fromtimestamp(at_s, found))} ({zone})"
