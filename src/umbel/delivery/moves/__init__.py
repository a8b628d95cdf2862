"""Delivery's functions move to other nodes: what mobility asks of their owner."""
