"""Files of providers, and what sends them as live streams."""
