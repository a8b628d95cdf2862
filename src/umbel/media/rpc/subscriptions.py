"""Who wants to hear which event of which object.

Two subscriptions of one session to the same event deliver it once; it stops with the last of them.
"""

from collections.abc import Iterator

_Topic = tuple[str, str]


class Subscriptions:
    """Subscription ids by object, event type and session."""

    def __init__(self) -> None:
        self._entries: dict[str, tuple[str, _Topic]] = {}

    def add(self, subscription: str, session: str, object_id: str, event: str) -> None:
        """Remember a subscription under its new id."""
        self._entries[subscription] = (session, (object_id, event))

    def remove(self, subscription: str, session: str) -> None:
        """Forget it; an unknown one, or another session's, is not an error and changes nothing."""
        entry = self._entries.get(subscription)
        if entry is not None and entry[0] == session:
            del self._entries[subscription]

    def sessions(self, object_id: str, event: str) -> Iterator[str]:
        """The sessions to tell, each once, in the order they subscribed."""
        topic = (object_id, event)
        return iter(dict.fromkeys(s for s, wanted in self._entries.values() if wanted == topic))

    def drop_object(self, object_id: str) -> None:
        """The object and all below it are gone."""
        below = object_id + "/"
        self._entries = {
            key: (session, topic)
            for key, (session, topic) in self._entries.items()
            if topic[0] != object_id and not topic[0].startswith(below)
        }

    def drop_session(self, session: str) -> None:
        """The session is gone."""
        self._entries = {key: entry for key, entry in self._entries.items() if entry[0] != session}

    def __len__(self) -> int:
        return len(self._entries)
