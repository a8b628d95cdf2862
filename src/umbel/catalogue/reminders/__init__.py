"""Who is to be reminded of what."""
