"""Who is to be reminded of what, and who was."""
