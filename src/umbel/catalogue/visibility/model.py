"""Who wants to watch, what they hear, and why they may not."""

from dataclasses import dataclass
from enum import Enum

from umbel.kit.errors import Conflict, Forbidden, TooSoon

MOST_INVITED = 1_000
"""Accounts of one event."""


class PassPhraseNeeded(Forbidden):
    """The event is open to those who know its pass phrase: send the phrase to the event's `grants`,
    then the grant's token as `X-Event-Grant`."""

    code = "umbel.pass_phrase_needed"


class WrongPassPhrase(Forbidden):
    """This is not the event's pass phrase."""

    code = "umbel.wrong_pass_phrase"


class NoPassPhrase(Conflict):
    """The event has no pass phrase: it can be watched without."""

    code = "umbel.no_pass_phrase"


class PassPhraseTooSoon(TooSoon):
    """There were too many wrong pass phrases for this event or from this address: wait, then try
    again."""

    code = "umbel.pass_phrase_too_soon"


class NotByInvitation(Conflict):
    """The event is not for invited accounts only: change its visibility first."""

    code = "umbel.not_by_invitation"


class Access(Enum):
    """What somebody gets who asks for an event."""

    OPEN = "open"
    PHRASE = "pass_phrase"
    HIDDEN = "hidden"


@dataclass(frozen=True, kw_only=True)
class Watcher:
    """Who asks: an account (empty: nobody is signed in), whether it runs every event, the providers
    whose events it runs, and what a grant says: an event, and the generation of the pass phrase
    that it was made with."""

    username: str = ""
    runs_all: bool = False
    provider_ids: frozenset[str] = frozenset()
    granted_event: str = ""
    granted_generation: str = ""

    def runs(self, provider_id: str) -> bool:
        """Whether this is one of those who run the provider's events."""
        return self.runs_all or provider_id in self.provider_ids


@dataclass(frozen=True, kw_only=True)
class WatchRight:
    """What let somebody into an event that is not for everybody: an account, or the generation of
    a pass phrase. Both are empty where everybody is let in."""

    username: str = ""
    phrase_generation: str = ""


ANYBODY = Watcher()
"""Nobody is signed in, and there is no grant."""
