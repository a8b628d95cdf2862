"""Drivers in memory, for the simulator and for tests."""
