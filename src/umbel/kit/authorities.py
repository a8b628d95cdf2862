"""The public authorities that this process trusts as a client of TLS, read once.

In: nothing. Out: contexts that all clients share. To read some 140 certificates takes 40 ms of CPU
and a megabyte, and httpx would do so again for each client that is made.
"""

import ssl
from functools import cache

import httpx


@cache
def bundled() -> ssl.SSLContext:
    """Those that come with httpx, whatever the environment names. httpx sets the same ALPN for
    each client of HTTP/1.1, so that they may share it."""
    return httpx.create_ssl_context(trust_env=False)


@cache
def of_system() -> ssl.SSLContext:
    """Those of the operating system."""
    return ssl.create_default_context()
