"""Viewers' tokens that are valid no more, though they have not expired."""
