"""What is due at a time: events end when their time is over."""
