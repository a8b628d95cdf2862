"""The media objects, one module a kind."""
