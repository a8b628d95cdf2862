"""Hypervisors: the operator's machines whose guests run functions."""
