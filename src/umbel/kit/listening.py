"""Takes an address before anything listens on it. In: host and port. Out: a bound socket."""

import socket


def bind(host: str, port: int) -> socket.socket:
    """A bound socket; with port 0 the kernel chooses, and `getsockname` tells. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is named because asyncio turns Nagle's delay off only where it reads TCP there:
    # without it each response waits some 40 ms for the client's delayed acknowledgement.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except OSError:
        bound.close()
        raise
    bound.setblocking(False)
    return bound
