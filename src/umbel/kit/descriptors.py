"""How many files and sockets this process may have open: as many as it is allowed to."""

import resource

_MOST = 65_536  # some programs that are started from here look at each possible descriptor


def raise_limit() -> int:
    """Raise the soft limit to the hard one; answers what holds now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST if hard == resource.RLIM_INFINITY else min(hard, _MOST)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return soft
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted
