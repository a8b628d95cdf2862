"""Replays at an edge, without I/O: what may be played, what is kept, and what the control plane
and an edge say to each other. Neighbour: `io/replay_cache.py` has the file and who waits.
"""
