"""What operators draw, add, move and inspect."""
