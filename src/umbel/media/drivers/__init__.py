"""Technologies of media: one module each."""
