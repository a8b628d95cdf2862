"""The database as a control plane sees it: at the end of a channel, which may fail or be slow.

In: units of work. Out: their outcome, or DatabaseUnavailable before or after the commit. The tables
are in memory and shared by all control planes, as a server's would be.
"""

from collections.abc import Callable
from typing import Concatenate, ParamSpec, TypeVar

from support.chaos.channels import Channel
from umbel.kit.inline import InlineDatabase, Tables
from umbel.kit.sql import Connection

P = ParamSpec("P")
T = TypeVar("T")


class RemoteDatabase(InlineDatabase):
    """Units that pass a channel on their way and on their way back."""

    def __init__(self, tables: Tables, channel: Channel) -> None:
        super().__init__(tables)
        self._channel = channel

    async def read(
        self, unit: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        await self._channel.pass_(unit.__name__, before=True)
        result = self.read_now(unit, *args, **kwargs)
        await self._channel.pass_(unit.__name__, before=False)
        return result

    async def write(
        self, unit: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        await self._channel.pass_(unit.__name__, before=True)
        result = self.write_now(unit, *args, **kwargs)
        await self._channel.pass_(unit.__name__, before=False)
        return result
