"""What viewers ask for, as columns: contents and requests. In: nothing. Neighbours: workload and
trace make them, engines read them.
"""

from collections.abc import Iterable
from dataclasses import dataclass, fields

import numpy as np

from umbel.planner.linear import Flags, Floats, Ints


@dataclass(frozen=True, kw_only=True, eq=False)
class Catalogue:
    """The contents, by number. `kind` is a Kind's number; `names` are for traces."""

    names: tuple[str, ...]
    kind: Ints
    duration_s: Floats
    size_bytes: Ints
    uhd: Flags

    def __len__(self) -> int:
        return len(self.names)


@dataclass(frozen=True, kw_only=True, eq=False)
class Requests:
    """Requests in order of time. `until_s` is when the viewer leaves if served; `end`, `content`
    and `resolution` are numbers; `last_hop_mbps` is what reaches the viewer's screen at most."""

    time_s: Floats
    until_s: Floats
    end: Ints
    content: Ints
    resolution: Ints
    last_hop_mbps: Floats

    def __len__(self) -> int:
        return len(self.time_s)

    def between(self, first: int, last: int) -> "Requests":
        """A slice by number."""
        return Requests(**{f.name: getattr(self, f.name)[first:last] for f in fields(self)})


def none() -> Requests:
    """No requests."""
    floats, ints = np.zeros(0), np.zeros(0, dtype=np.int64)
    return Requests(
        time_s=floats,
        until_s=floats,
        end=ints,
        content=ints,
        resolution=ints,
        last_hop_mbps=floats,
    )


def joined(some: Iterable[Requests]) -> Requests:
    """One after the other."""
    every = [none(), *some]
    return Requests(
        **{
            f.name: np.concatenate([getattr(one, f.name) for one in every])
            for f in fields(Requests)
        }
    )
