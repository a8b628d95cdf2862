"""Viewers' sessions."""
