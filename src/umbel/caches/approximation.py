"""Hit ratios of a cache without running it: rates, sizes and a capacity in, a share a content out.

Che's approximation (JSAC 2002; Fricker, Robert, Roberts, ITC 2012): every content stays for one
characteristic time, that at which the cache is just full. Requests are Poisson and independent.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq

from umbel.caches.ports import BadCache

Floats: TypeAlias = npt.NDArray[np.float64]

# A request so much rarer than those for the first of all never comes, and in a cache so much
# smaller than the catalogue nothing stays.
_NEVER = 1e-12


class Law(StrEnum):
    """Policies whose hit ratio has a closed form."""

    LRU = "lru"
    FIFO = "fifo"
    RANDOM = "random"


# Of rate x time: an LRU's timer starts again at each request, the others' at the first one only.
_LAWS: Final[Mapping[Law, Callable[[Floats], Floats]]] = MappingProxyType(
    {
        Law.LRU: lambda asked: -np.expm1(-asked),
        Law.FIFO: lambda asked: asked / (1.0 + asked),
        Law.RANDOM: lambda asked: asked / (1.0 + asked),
    }
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Steady:
    """A cache in its steady state: the share of requests for each content that hit [h_im], and the
    share of all requests."""

    hits: Floats
    hit_ratio: float


def approximate(law: Law, rates_per_s: Floats, sizes: Floats, capacity: float) -> Steady:
    """The steady state under independent Poisson requests. Sizes and capacity share a unit.

    Raises BadCache where a rate is negative, a size is not positive, or a number is not finite.
    """
    _check(rates_per_s, sizes, capacity)
    fastest = rates_per_s.max(initial=0.0)
    asked = rates_per_s > fastest * _NEVER
    if capacity >= sizes[asked].sum():
        hits = asked.astype(np.float64)
    elif capacity <= sizes[asked].sum() * _NEVER:
        hits = np.zeros(len(sizes))
    else:
        relative = np.where(asked, rates_per_s / fastest, 0.0)
        hits = _LAWS[law](relative * _stay(_LAWS[law], relative, sizes, capacity))
    total = rates_per_s.sum()
    ratio = float(rates_per_s @ hits / total) if total > 0 else 0.0
    return Steady(hits=hits, hit_ratio=ratio)


def _stay(law: Callable[[Floats], Floats], rates: Floats, sizes: Floats, capacity: float) -> float:
    """The time at which the cache is just full, in the rates' own unit."""

    def surplus(stays: float) -> float:
        return float(sizes @ law(rates * stays)) - capacity

    # Both laws are at most rate x time, so the cache is not full before this.
    least = capacity / float(sizes @ rates)
    most = 2.0 * least
    while surplus(most) < 0:
        most *= 2.0
    return float(brentq(surplus, least, most, xtol=1e-12 * least, rtol=1e-12))


def _check(rates_per_s: Floats, sizes: Floats, capacity: float) -> None:
    problems = []
    if rates_per_s.shape != sizes.shape or rates_per_s.ndim != 1:
        problems.append("rates and sizes are not two lists of one length")
    if not (np.isfinite(rates_per_s).all() and (rates_per_s >= 0).all()):
        problems.append("a rate is negative or not finite")
    if not (np.isfinite(sizes).all() and (sizes > 0).all()):
        problems.append("a size is not positive and finite")
    if not (np.isfinite(capacity) and capacity >= 0):
        problems.append("the capacity is negative or not finite")
    if problems:
        raise BadCache(
            f"These cache settings are not valid: {'; '.join(problems)}", problems=problems
        )
