"""The only place that picks drivers and wires services together."""
