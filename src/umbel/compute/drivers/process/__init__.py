"""A supervised operating-system process per function, on this machine.

It needs no root unless the nodes are network namespaces.
vim.py is the driver; launch.py starts, places.py says where, procfs.py looks, records.py remembers,
probe.py asks.
"""

from umbel.compute.drivers.process.places import Namespaces
from umbel.compute.drivers.process.vim import ProcessVim

__all__ = ["Namespaces", "ProcessVim"]
