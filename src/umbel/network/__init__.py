"""Topology, paths and fabrics."""
