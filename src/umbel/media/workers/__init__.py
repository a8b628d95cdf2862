"""GStreamer outside: worker processes, and what is told to them."""
