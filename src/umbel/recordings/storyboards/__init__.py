"""Small pictures of what was recorded, for seeking."""
