"""Whether somebody may watch an event, and which pass phrases there may be. Pure.

Neighbour: `service` reads what `access` needs to know. Nothing else decides who may watch.
"""

import unicodedata

from umbel.catalogue.model import Event, Visibility
from umbel.catalogue.sign_in_limits import FailureCounter
from umbel.catalogue.visibility.model import Access, PassPhraseTooSoon, Watcher, WatchRight
from umbel.kit.errors import Unprocessable

OPEN_TO_ALL = frozenset({Visibility.PUBLIC, Visibility.UNLISTED})
LEAST_PHRASE = 8
MOST_PHRASE = 128
FREE_BY_VIEWER = 5
FREE_BY_ADDRESS = 20
FREE_BY_EVENT = 1_000


def access(event: Event, by: Watcher, *, phrase_generation: str, is_invited: bool) -> Access:
    """What `by` gets. `phrase_generation` is that of the event's pass phrase now, empty when it has
    none."""
    if by.runs(event.provider_id):
        return Access.OPEN
    if event.visibility is Visibility.INVITED:
        return Access.OPEN if is_invited else Access.HIDDEN
    if event.visibility is Visibility.PHRASE:
        given, wanted = (by.granted_event, by.granted_generation), (event.id, phrase_generation)
        is_granted = bool(phrase_generation) and given == wanted
        return Access.OPEN if is_granted else Access.PHRASE
    return Access.OPEN


def watch_right(event: Event, by: Watcher) -> WatchRight:
    """What lets `by` into the event, who may watch it: no account is named that need not be."""
    if event.visibility in OPEN_TO_ALL:
        return WatchRight()
    is_granted = event.visibility is Visibility.PHRASE and by.granted_event == event.id
    return WatchRight(
        username=by.username, phrase_generation=by.granted_generation if is_granted else ""
    )


def pass_phrase(text: str) -> str:
    """The phrase as it is hashed, or Unprocessable: trimmed, and each character in one spelling
    (RFC 8265, section 4.2: Unicode's form C), so that every keyboard gives the same."""
    clean = unicodedata.normalize("NFC", text).strip()
    is_broken = any(unicodedata.category(c) in ("Cc", "Cs") for c in clean)
    if is_broken or not LEAST_PHRASE <= len(clean) <= MOST_PHRASE:
        wanted = f"{LEAST_PHRASE} to {MOST_PHRASE} characters on one line"
        raise Unprocessable(
            f"pass_phrase: {wanted}", fields=[{"field": "pass_phrase", "message": wanted}]
        )
    return clean


def check_phrase(visibility: Visibility, *, is_given: bool, is_kept: bool) -> None:
    """Raise Unprocessable unless an event with a pass phrase, and no other, has one."""
    if visibility is Visibility.PHRASE:
        wanted = "" if is_given or is_kept else "a pass phrase, or another visibility"
    else:
        wanted = "given with the visibility pass_phrase, and with no other" if is_given else ""
    if wanted:
        raise Unprocessable(
            f"pass_phrase: {wanted}", fields=[{"field": "pass_phrase", "message": wanted}]
        )


class PhraseLimits:
    """How often pass phrases may be tried: by event and address, by address, and by event. An
    attempt counts as wrong until its outcome is known, so that many at once are bounded, too."""

    def __init__(self) -> None:
        self._viewers = FailureCounter(FREE_BY_VIEWER)
        self._addresses = FailureCounter(FREE_BY_ADDRESS)
        self._events = FailureCounter(FREE_BY_EVENT)

    def admit(self, event_id: str, source: str, now_s: float) -> None:
        """An attempt begins. Raises PassPhraseTooSoon; such an attempt counts for nothing."""
        counters = self._counters(event_id, source)
        wait_s = max(counter.wait_s(key, now_s) for counter, key in counters)
        if wait_s > 0:
            raise PassPhraseTooSoon(wait_s)
        for counter, key in counters:
            counter.add(key, now_s)

    def was_right(self, event_id: str, source: str) -> None:
        """The phrase of an admitted attempt was right."""
        self.was_not_checked(event_id, source)
        self._viewers.forget(f"{event_id} {source}")

    def was_not_checked(self, event_id: str, source: str) -> None:
        """The phrase of an admitted attempt could not be checked."""
        for counter, key in self._counters(event_id, source):
            counter.take_back(key)

    def _counters(self, event_id: str, source: str) -> list[tuple[FailureCounter, str]]:
        return [
            (self._viewers, f"{event_id} {source}"),
            (self._addresses, source),
            (self._events, event_id),
        ]
