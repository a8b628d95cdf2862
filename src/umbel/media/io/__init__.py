"""Sockets over the protocols: what encoders and viewers speak to."""
