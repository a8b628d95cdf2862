"""Trees of functions, pure: the view that policies read, grafting, renditions, reconciliation."""
