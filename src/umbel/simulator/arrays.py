"""What the compiled loop works on: tuples of arrays, no rules. Neighbours: `core`, `compiled`."""

from typing import NamedTuple

from umbel.planner.linear import Floats, Ints


class Net(NamedTuple):
    """The World and the catalogue. Paths are ranges of resources."""

    starts: Ints
    resources: Ints
    source: Ints
    radio: Ints
    size_bytes: Ints
    duration_s: Floats
    storage_bytes: Ints
    numbers: Ints  # pop, how many resolutions, which cache: core.FIFO, LRU or SIEVE
    fetch_mbps: Floats


class Steer(NamedTuple):
    """A SteeringPlan. Lanes and paths are ranges too: of a bundle, of an end, of a node to fill."""

    labels: Ints
    bundle_starts: Ints
    bundle_path: Ints
    bundle_mbps: Floats
    bundle_used: Floats
    end_starts: Ints
    end_path: Ints
    end_mbps: Floats
    end_used: Floats
    any_starts: Ints
    any_path: Ints
    fill_starts: Ints
    fill_path: Ints
    least: Floats  # by (label + 1) x resolution
    most: Floats
    vcpus: Floats
    capacity_mbps: Floats
    capacity_vcpus: Floats


class State(NamedTuple):
    """What goes on: use, caches as rings through a last column, the heap, and sessions."""

    used_mbps: Floats
    used_vcpus: Floats
    older: Ints
    newer: Ints
    held_bytes: Ints
    visited: Ints  # SIEVE's marks by node and content, and its hands by node
    hand: Ints
    heap_s: Floats
    heap_session: Ints
    size: Ints  # of the heap, and the number of the next request
    session: Ints  # by request: content, end, resolution, path, fill, lane of bundle, of end
    session_mbps: Floats  # by request: rate, vCPUs, rate of the fill


class Batch(NamedTuple):
    """Requests, and room for their outcomes."""

    time_s: Floats
    until_s: Floats
    end: Ints
    content: Ints
    resolution: Ints
    last_hop_mbps: Floats
    outcome: Ints
    label: Ints
    path: Ints
    mbps: Floats
    vcpus: Floats
    hit: Ints
    fill: Ints
    fill_mbps: Floats
    delay_s: Floats
    departed: Ints
