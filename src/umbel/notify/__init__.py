"""Observers: who registered a callback is told what happens, in order, until it answers."""
