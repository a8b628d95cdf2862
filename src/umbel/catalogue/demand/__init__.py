"""Whom events are expected to have as viewers: reservations by access node, and earlier events."""
