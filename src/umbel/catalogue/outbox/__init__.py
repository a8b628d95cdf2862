"""Messages to viewers that are to be sent, each once."""
