"""Inside a worker process: the only modules that import GStreamer."""
