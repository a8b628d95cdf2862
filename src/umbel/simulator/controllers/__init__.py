"""Who decides on steering plans: `nearest` (everything on, for ever) and `virca` (the paper)."""
