"""A supervised operating-system process per function, on this machine; needs no root.

vim.py is the driver; launch.py starts, procfs.py looks, records.py remembers, probe.py asks.
"""

from umbel.compute.drivers.process.vim import ProcessVim

__all__ = ["ProcessVim"]
