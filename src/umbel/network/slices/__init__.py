"""Guaranteed rates: admission, queues and the service that keeps them."""
