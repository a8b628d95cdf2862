"""Nodes, functions and their life cycle."""
