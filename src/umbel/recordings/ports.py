"""What recordings need of delivery: where recorders are. Media has the port to ask them."""

from collections.abc import Mapping
from typing import Protocol


class RecorderAt(Protocol):
    """Where a recorder gives its segments to anyone who has the token."""

    @property
    def url(self) -> str: ...

    @property
    def token(self) -> str: ...


class RunningRecorders(Protocol):
    """Which recorders run."""

    async def all(self) -> Mapping[str, RecorderAt]:
        """Those that can be asked, by stream."""
