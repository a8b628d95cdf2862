"""GStreamer outside: worker processes, and how the server controls them."""
