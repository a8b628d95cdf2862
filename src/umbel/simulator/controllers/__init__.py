"""Who decides on courses: `nearest` (everything on, for ever) and `virca` (the paper)."""
