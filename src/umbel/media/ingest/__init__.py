"""What an encoder sends: decisions without any I/O."""
