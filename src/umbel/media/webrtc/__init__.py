"""A WebRTC server endpoint without any I/O."""
