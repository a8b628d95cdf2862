"""Counts viewers from the journal's entries of sessions. Pure.

In: the sessions there were at one moment, then entries, oldest first. Out: what was gathered since
the last time. A session that never became ready was opened and refused: it does not count.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable

from umbel.catalogue.model import OVER
from umbel.delivery.attendance.model import MINUTE_S, Gathered, Share
from umbel.delivery.model import Session
from umbel.delivery.trees import renditions
from umbel.kit.journal import Change

_OVER = frozenset(state.value for state in OVER)
_Place = tuple[str, str, str]


class AttendanceCounter:
    """The sessions there are, and what they did since `gathered` was called."""

    def __init__(self, sessions: Iterable[Session], at_s: float) -> None:
        self._places: dict[str, _Place] = {
            one.id: (renditions.event_of(one.stream), one.access_node, one.edge_node)
            for one in sessions
        }
        self._by_event = Counter(event for event, _, _ in self._places.values())
        self._by_place = Counter(self._places.values())
        self._at_s = at_s
        self._clear()

    def take(self, change: Change) -> None:
        """The next entry."""
        self.advance(change.at_s)
        what = change.body.get("what")
        if change.kind == "event" and change.body.get("state") in _OVER:
            for id_ in [id_ for id_, place in self._places.items() if place[0] == change.subject]:
                self._leave(id_)
        if change.kind != "session" or what == "turned-away":
            return
        if what == "opened":
            self._enter(change)
        else:
            place = self._places.get(change.subject)
            if what == "refused" and place is not None:
                self._add(place, Share(opened=-1))
            self._leave(change.subject)

    def advance(self, to_s: float) -> None:
        """Time passes, and those who watch go on."""
        if not self._places:  # a quiet night costs nothing
            self._at_s = max(self._at_s, to_s)
        while self._at_s < to_s:
            minute = int(self._at_s // MINUTE_S) * MINUTE_S
            until_s = min(to_s, float(minute + MINUTE_S))
            for event, count in self._by_event.items():
                share = Share(watched_s=count * (until_s - self._at_s), peak=count)
                self._minutes[event, minute] = self._minutes[event, minute].plus(share)
                self._events[event] = self._events[event].plus(share)
            for place, count in self._by_place.items():
                share = Share(watched_s=count * (until_s - self._at_s), peak=count)
                self._whole[place] = self._whole[place].plus(share)
            self._at_s = until_s

    def gathered(self) -> Gathered:
        """What came since the last time."""
        found = Gathered(
            minutes=dict(self._minutes), places=dict(self._whole), events=dict(self._events)
        )
        self._clear()
        return found

    def _enter(self, change: Change) -> None:
        body = change.body
        event = renditions.event_of(str(body.get("stream", "")))
        place = (event, str(body.get("access_node", "")), str(body.get("edge", "")))
        if change.subject in self._places:
            return
        self._places[change.subject] = place
        self._by_event[event] += 1
        self._by_place[place] += 1
        self._add(place, Share(opened=1))

    def _leave(self, session_id: str) -> None:
        place = self._places.pop(session_id, None)
        if place is None:
            return
        # Unary plus leaves out what has come to nothing.
        self._by_event[place[0]] -= 1
        self._by_place[place] -= 1
        self._by_event, self._by_place = +self._by_event, +self._by_place

    def _add(self, place: _Place, share: Share) -> None:
        minute = int(self._at_s // MINUTE_S) * MINUTE_S
        self._minutes[place[0], minute] = self._minutes[place[0], minute].plus(share)
        self._events[place[0]] = self._events[place[0]].plus(share)
        self._whole[place] = self._whole[place].plus(share)

    def _clear(self) -> None:
        self._minutes: defaultdict[tuple[str, int], Share] = defaultdict(Share)
        self._events: defaultdict[str, Share] = defaultdict(Share)
        self._whole: defaultdict[_Place, Share] = defaultdict(Share)
