"""Where bytes are kept: a module for each technology."""
