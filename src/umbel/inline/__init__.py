"""Runs the in-line functions that operators ask for as images: guests that streams pass through."""
