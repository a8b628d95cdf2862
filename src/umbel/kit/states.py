"""State machines as tables: (state, event) -> state. Code, docs and tests read the same literal."""

from collections.abc import Mapping
from enum import Enum
from typing import Generic, TypeVar

from umbel.kit.errors import Conflict

S = TypeVar("S", bound=Enum)
E = TypeVar("E", bound=Enum)


class IllegalTransition(Conflict):
    """The event is not allowed in this state."""

    code = "umbel.illegal_transition"


class Table(Generic[S, E]):
    """A whole machine in one literal. An illegal event raises and changes nothing."""

    def __init__(self, transitions: Mapping[tuple[S, E], S]) -> None:
        self.transitions = dict(transitions)

    def next(self, state: S, event: E) -> S:
        """The state after the event."""
        try:
            return self.transitions[state, event]
        except KeyError:
            message = f"{event.value} is not allowed while {state.value}"
            raise IllegalTransition(message, state=state.value, event=event.value) from None

    def allows(self, state: S, event: E) -> bool:
        """Whether the event may happen now."""
        return (state, event) in self.transitions

    def mermaid(self) -> str:
        """The diagram for the docs, generated so that it cannot drift."""
        rows = self.transitions.items()
        lines = [f"    {a.value} --> {b.value}: {e.value}" for (a, e), b in rows]
        return "\n".join(["stateDiagram-v2", *lines])
