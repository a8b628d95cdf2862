"""What keeps the repository in order: expiry, orphans, half uploads, checks of all bytes."""
