"""What anybody may find: events by section, search, and their providers."""
