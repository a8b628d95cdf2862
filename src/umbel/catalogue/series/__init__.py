"""Events that are scheduled together."""
