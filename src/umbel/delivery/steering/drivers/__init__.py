"""How delivery has its plans made: in this process, or in one of its own."""
