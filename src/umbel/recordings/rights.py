"""Why somebody may play a recording: the right ends with what it comes from. Pure.

In: an account's recording, a link to one, or an event that everybody may see again. Out: the right
as text for a token, and the other way.
"""

from dataclasses import dataclass
from enum import Enum


class RightKind(Enum):
    """What a right comes from."""

    RECORDING = "recording"
    SHARE = "share"
    EVENT = "event"


@dataclass(frozen=True, kw_only=True)
class Right:
    """To play as long as `of` is there: the id of a recording, a link or an event. An event may
    ask who they are: `username`, or of which generation the pass phrase was by which they
    came: `phrase_generation`; else both are empty."""

    kind: RightKind
    of: str
    username: str = ""
    phrase_generation: str = ""

    def serialize(self) -> str:
        """As text, without the generation."""
        return f"{self.kind.value}/{self.of}/{self.username}"


def parse(text: str, phrase_generation: str = "") -> Right:
    """The right that was serialized. Raises ValueError."""
    kind, of, username = text.split("/", 2)
    return Right(
        kind=RightKind(kind), of=of, username=username, phrase_generation=phrase_generation
    )
