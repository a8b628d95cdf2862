"""Users and rights, providers, events and their schedule, stream keys."""
