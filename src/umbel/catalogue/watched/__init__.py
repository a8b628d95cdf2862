"""What signed-in viewers watched."""
