"""In a worker process: GStreamer on files of strangers."""
