"""The compiled loop: arrays in, arrays changed. `compiled` owns them; `reference` is the same in
words. Every sum is taken in the reference's order, so that both agree to the last bit.

numba compiles these functions once and keeps the result next to this file (or under the user's
home, or nowhere), by this file's age alone: that is why they are all in it.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np

from umbel.planner.linear import Floats, Ints
from umbel.simulator.arrays import Batch, Net, State, Steer

Function = TypeVar("Function", bound=Callable[..., object])

ENOUGH = 1e-9
START_S = 15.0
MBIT_PER_BYTE = 8e-6
BUNDLE, END, ANY = 1, 2, 3
FIFO, LRU, SIEVE = 0, 1, 2
NO_CPU, NO_BANDWIDTH, NO_FILL, NO_PATH = -1, -2, -4, -8


# Nothing here allocates, so nothing need count references to the arrays: with counts, nine tenths
# of the time go into atomic additions. numba knows this option and does not type it.
_OPTIONS: dict[str, Any] = {"_nrt": False}


def _compiled(function: Function) -> Function:
    try:
        return cast("Function", numba.njit(cache=True, **_OPTIONS)(function))
    except RuntimeError:  # nowhere to keep it: compiled again in each process
        return cast("Function", numba.njit(**_OPTIONS)(function))


@_compiled
def _free(net: Net, steer: Steer, state: State, path: int, end: int) -> float:
    free = np.inf
    for place in range(net.starts[path], net.starts[path + 1]):
        one = net.resources[place]
        free = min(free, steer.capacity_mbps[one] - state.used_mbps[one])
    one = net.radio[end]
    if one >= 0:
        free = min(free, steer.capacity_mbps[one] - state.used_mbps[one])
    return free


@_compiled
def _free_beside(net: Net, steer: Steer, state: State, path: int, other: int, mbps: float) -> float:
    free = np.inf
    for place in range(net.starts[path], net.starts[path + 1]):
        one = net.resources[place]
        left = steer.capacity_mbps[one] - state.used_mbps[one]
        for elsewhere in range(net.starts[other], net.starts[other + 1]):
            if net.resources[elsewhere] == one:
                left -= mbps
                break
        free = min(free, left)
    return free


@_compiled
def _fullest(
    net: Net,
    steer: Steer,
    state: State,
    of: tuple[int, int, Ints, Floats, Floats],
    ask: tuple[int, float, float, float],
) -> tuple[int, float]:
    """The lane of a bundle or an end with the most left that fits, and the rate on it."""
    first, last, lane_path, lane_mbps, lane_used = of
    end, least, most, vcpus = ask
    best, best_left, rate = -1, least - ENOUGH, 0.0
    for lane in range(first, last):
        left = lane_mbps[lane] - lane_used[lane]
        if left < least - ENOUGH or (best >= 0 and left <= best_left):
            continue
        path = lane_path[lane]
        free = _free(net, steer, state, path, end)
        source = net.source[path]
        spare = steer.capacity_vcpus[source] - state.used_vcpus[source]
        if free >= least - ENOUGH and spare >= vcpus - ENOUGH:
            best, best_left, rate = path, left, max(least, min(most, left, free))
    return best, rate


@_compiled
def _anywhere(
    net: Net, steer: Steer, state: State, ask: tuple[int, float, float, float]
) -> tuple[int, int, float]:
    """The first path with room; without one, why."""
    end, least, most, vcpus = ask
    first, last = steer.any_starts[end], steer.any_starts[end + 1]
    served = False
    for place in range(first, last):
        path = steer.any_path[place]
        source = net.source[path]
        if steer.capacity_vcpus[source] - state.used_vcpus[source] < vcpus - ENOUGH:
            continue
        served = True
        free = _free(net, steer, state, path, end)
        if free >= least - ENOUGH:
            return ANY, path, max(least, min(most, free))
    if first == last:
        return NO_PATH, -1, 0.0
    return (NO_BANDWIDTH if served else NO_CPU), -1, 0.0


@_compiled
def _decide(
    net: Net, steer: Steer, state: State, bundle: int, ask: tuple[int, float, float, float]
) -> tuple[int, int, float]:
    """Algorithm 2: step or reason, path, rate."""
    end = ask[0]
    own = (
        steer.bundle_starts[bundle],
        steer.bundle_starts[bundle + 1],
        steer.bundle_path,
        steer.bundle_mbps,
        steer.bundle_used,
    )
    path, mbps = _fullest(net, steer, state, own, ask)
    if path >= 0:
        return BUNDLE, path, mbps
    whole = (
        steer.end_starts[end],
        steer.end_starts[end + 1],
        steer.end_path,
        steer.end_mbps,
        steer.end_used,
    )
    path, mbps = _fullest(net, steer, state, whole, ask)
    if path >= 0:
        return END, path, mbps
    return _anywhere(net, steer, state, ask)


@_compiled
def _unlink(state: State, node: int, content: int) -> None:
    older, newer = state.older[node, content], state.newer[node, content]
    state.newer[node, older] = newer
    state.older[node, newer] = older
    state.older[node, content] = state.newer[node, content] = -1


@_compiled
def _to_front(state: State, node: int, content: int) -> None:
    ring = state.older.shape[1] - 1
    front = state.older[node, ring]
    state.older[node, content], state.newer[node, content] = front, ring
    state.newer[node, front] = content
    state.older[node, ring] = content


@_compiled
def _leaver(net: Net, state: State, node: int) -> int:
    """Who makes room: the oldest, or the one at which SIEVE's hand stops."""
    ring = state.older.shape[1] - 1
    oldest = state.newer[node, ring]
    if net.numbers[2] != SIEVE:
        return int(oldest)
    at = state.hand[node] if state.hand[node] != ring else oldest
    while state.visited[node, at]:
        state.visited[node, at] = 0
        at = state.newer[node, at] if state.newer[node, at] != ring else oldest
    state.hand[node] = state.newer[node, at]
    return int(at)


@_compiled
def _cache(net: Net, state: State, node: int, content: int) -> None:
    """Ask the node's cache. The ring's last column comes before the newest, after the oldest."""
    if state.older[node, content] >= 0:
        if net.numbers[2] == LRU:
            _unlink(state, node, content)
            _to_front(state, node, content)
        state.visited[node, content] = 1
        return
    size = net.size_bytes[content]
    if size > net.storage_bytes[node]:
        return
    while state.held_bytes[node] + size > net.storage_bytes[node]:
        leaver = _leaver(net, state, node)
        state.held_bytes[node] -= net.size_bytes[leaver]
        _unlink(state, node, leaver)
    state.held_bytes[node] += size
    _to_front(state, node, content)


@_compiled
def _before(state: State, a: int, b: int) -> bool:
    if state.heap_s[a] != state.heap_s[b]:
        return bool(state.heap_s[a] < state.heap_s[b])
    return bool(state.heap_session[a] < state.heap_session[b])


@_compiled
def _swap(state: State, a: int, b: int) -> None:
    state.heap_s[a], state.heap_s[b] = state.heap_s[b], state.heap_s[a]
    session = state.heap_session[a]
    state.heap_session[a] = state.heap_session[b]
    state.heap_session[b] = session


@_compiled
def _push(state: State, at_s: float, session: int) -> None:
    child = state.size[0]
    state.size[0] += 1
    state.heap_s[child], state.heap_session[child] = at_s, session
    while child > 0:
        parent = (child - 1) // 2
        if not _before(state, child, parent):
            break
        _swap(state, child, parent)
        child = parent


@_compiled
def _pop(state: State) -> int:
    first = state.heap_session[0]
    state.size[0] -= 1
    last = state.size[0]
    _swap(state, 0, last)
    parent = 0
    while True:
        child = 2 * parent + 1
        if child >= last:
            break
        if child + 1 < last and _before(state, child + 1, child):
            child += 1
        if not _before(state, child, parent):
            break
        _swap(state, child, parent)
        parent = child
    return int(first)


@_compiled
def _carry(net: Net, steer: Steer, state: State, session: int, sign: float) -> None:
    """Take, or give back, what a session uses."""
    _content, end, _resolution, path, fill, own, whole = state.session[session]
    mbps, vcpus, fill_mbps = state.session_mbps[session]
    for place in range(net.starts[path], net.starts[path + 1]):
        state.used_mbps[net.resources[place]] += sign * mbps
    if net.radio[end] >= 0:
        state.used_mbps[net.radio[end]] += sign * mbps
    state.used_vcpus[net.source[path]] += sign * vcpus
    if fill >= 0:
        for place in range(net.starts[fill], net.starts[fill + 1]):
            state.used_mbps[net.resources[place]] += sign * fill_mbps
    if own >= 0:
        steer.bundle_used[own] += sign * mbps
    if whole >= 0:
        steer.end_used[whole] += sign * mbps


@_compiled
def _lane_of(path: int, first: int, last: int, lane_path: Ints) -> int:
    for lane in range(first, last):
        if lane_path[lane] == path:
            return lane
    return -1


@_compiled
def _book(net: Net, steer: Steer, state: State, session: int) -> None:
    """Find the lanes that a session counts on under this steering plan."""
    content, end, resolution, path = state.session[session, :4]
    width = net.numbers[1]
    labels = len(steer.least) // width
    bundle = (end * labels + steer.labels[content] + 1) * width + resolution
    first, last = steer.bundle_starts[bundle], steer.bundle_starts[bundle + 1]
    state.session[session, 5] = _lane_of(path, first, last, steer.bundle_path)
    first, last = steer.end_starts[end], steer.end_starts[end + 1]
    state.session[session, 6] = _lane_of(path, first, last, steer.end_path)


@_compiled
def rebook(net: Net, steer: Steer, state: State, sessions: Ints) -> None:
    """Count those who are served on a new plan's lanes, in the order in which they came."""
    for session in sessions:
        _book(net, steer, state, session)
        own, whole = state.session[session, 5], state.session[session, 6]
        if own >= 0:
            steer.bundle_used[own] += state.session_mbps[session, 0]
        if whole >= 0:
            steer.end_used[whole] += state.session_mbps[session, 0]


@_compiled
def _fill(
    net: Net, steer: Steer, state: State, batch: Batch, at: int, found: tuple[int, float]
) -> bool:
    """Look the content up, and find how to fetch it if need be; False where there is no way."""
    path, mbps = found
    source, content = net.source[path], batch.content[at]
    batch.hit[at] = 1
    if source == net.numbers[0]:
        return True
    if state.older[source, content] < 0:
        size_mbit = net.size_bytes[content] * MBIT_PER_BYTE
        watch_s = batch.until_s[at] - batch.time_s[at]
        rate = size_mbit / watch_s if watch_s > 0 else np.inf
        batch.hit[at] = 0
        for place in range(steer.fill_starts[source], steer.fill_starts[source + 1]):
            fill = steer.fill_path[place]
            free = _free_beside(net, steer, state, fill, path, mbps)
            if free >= rate - ENOUGH:
                batch.fill[at], batch.fill_mbps[at] = fill, rate
                fastest = max(min(free, net.fetch_mbps[0]), rate)
                stored_mbps = size_mbit / net.duration_s[content]
                batch.delay_s[at] = START_S * stored_mbps / fastest
                break
        else:
            batch.hit[at] = -1
            return False
    _cache(net, state, source, content)
    return True


@_compiled
def _arrive(net: Net, steer: Steer, state: State, batch: Batch, at: int) -> None:
    end, content, resolution = batch.end[at], batch.content[at], batch.resolution[at]
    label = steer.labels[content]
    batch.label[at] = label
    width = net.numbers[1]
    kind = (label + 1) * width + resolution
    hop = batch.last_hop_mbps[at]
    vcpus = steer.vcpus[kind]
    ask = (end, min(steer.least[kind], hop), min(steer.most[kind], hop), vcpus)
    step, path, mbps = _decide(net, steer, state, end * len(steer.least) + kind, ask)
    session = state.size[1]
    state.size[1] += 1
    if path >= 0 and not _fill(net, steer, state, batch, at, (path, mbps)):
        step, path = NO_FILL, -1
    batch.outcome[at], batch.path[at] = step, path
    if path < 0:
        return
    batch.mbps[at], batch.vcpus[at] = mbps, vcpus
    fields = state.session[session]
    fields[0], fields[1], fields[2], fields[3] = content, end, resolution, path
    fields[4] = batch.fill[at]
    rates = state.session_mbps[session]
    rates[0], rates[1], rates[2] = mbps, vcpus, batch.fill_mbps[at]
    _book(net, steer, state, session)
    _carry(net, steer, state, session, 1.0)
    _push(state, batch.until_s[at], session)


@_compiled
def advance(net: Net, steer: Steer, state: State, batch: Batch, until_s: float) -> int:
    """All events before a time; how many departed."""
    gone = 0
    for at in range(len(batch.time_s)):
        while state.size[0] > 0 and state.heap_s[0] <= batch.time_s[at]:
            batch.departed[gone] = _pop(state)
            _carry(net, steer, state, batch.departed[gone], -1.0)
            gone += 1
        _arrive(net, steer, state, batch, at)
    while state.size[0] > 0 and state.heap_s[0] < until_s:
        batch.departed[gone] = _pop(state)
        _carry(net, steer, state, batch.departed[gone], -1.0)
        gone += 1
    return gone
