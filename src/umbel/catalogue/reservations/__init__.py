"""What viewers mean to watch or to record."""
