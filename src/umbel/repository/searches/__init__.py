"""Searches of items by their metadata."""
