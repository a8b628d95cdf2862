"""Helpers that know nothing of video. May import nothing else from umbel."""
