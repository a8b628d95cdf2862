"""Caches of whole contents, counted in bytes: requests go in, what was held and evicted comes out.

`ports` says what a cache is; `queues` (LRU, FIFO), `lfu`, `tinylfu`, `s3fifo` and `sieve` are
policies, `policies` makes one by name; `approximation` gives their hit ratios without running
them. `fingerprint` and `dictionary` tell contents by their pictures, so that `deduplicated`
keeps one copy of what has many addresses. Nothing here reads a clock, a file or a socket.
"""
