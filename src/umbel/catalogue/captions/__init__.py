"""What is said in events: whether it is recognised, and what was."""
