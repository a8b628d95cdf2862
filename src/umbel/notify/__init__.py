"""Observers: reports what happens to registered callbacks, in order, until they answer."""
