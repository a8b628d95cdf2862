"""Functions in memory: for the simulator, scenarios and tests."""

from umbel.compute.drivers.fake.vim import FakeGuestVim, FakeVim

__all__ = ["FakeGuestVim", "FakeVim"]
