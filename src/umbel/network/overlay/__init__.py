"""Streams over the drawn network: trees, moves and the rules that carry them. Pure."""
