"""Traces of live sessions, written for the simulator."""
