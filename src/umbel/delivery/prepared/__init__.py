"""Functions that run before somebody needs them."""
