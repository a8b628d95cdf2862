"""Media servers by fork: `python -m umbel.media.fork_server ROOM`, for the process VIM.

In: orders on stdin; their words are those of `python -m umbel.media`. Out: media servers that start
without an import, and have in memory of their own only what they change. Neighbour:
kit/fork_server.py.
"""

import uvicorn.lifespan.off
import uvicorn.protocols.websockets.websockets_sansio_impl  # noqa: F401 -- imported by name later

from umbel.kit import fork_server, prctl, secret_tls
from umbel.kit.clock import SystemClock
from umbel.media import main as media_server
from umbel.media.webrtc.dtls import Identity

_MODULE_WORDS = 3  # python -m umbel.media


def main() -> None:
    """Serve; in each forked process, be that media server."""
    prctl.set_name("umbel-forks")
    # Both OpenSSLs, of `cryptography` and of `ssl`, lay out their tables when they are first used.
    Identity(SystemClock().now_s())
    secret_tls.server_context("of nobody")
    order = fork_server.serve()
    if order is not None:
        media_server.main(order.words[_MODULE_WORDS:])


if __name__ == "__main__":
    main()
