"""UDP datagrams, many a system call."""
