"""Placement policies: View in, decision out; one file each."""
