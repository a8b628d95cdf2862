"""A supervised operating-system process per function, on this machine.

It needs no root unless the nodes are network namespaces.
vim.py is the driver; launch.py starts afresh, fork_server.py by fork, executors.py says where;
procfs.py reads /proc, records.py remembers, probe.py checks health.
"""

from umbel.compute.drivers.process.executors import Executor, HostExecutor, NamespaceExecutor
from umbel.compute.drivers.process.fork_server import ForkServerProgram
from umbel.compute.drivers.process.vim import ProcessVim

__all__ = ["Executor", "ForkServerProgram", "HostExecutor", "NamespaceExecutor", "ProcessVim"]
