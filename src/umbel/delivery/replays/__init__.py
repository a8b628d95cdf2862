"""Viewers of recordings at edges: which edge serves whom, and how much of it is theirs."""
