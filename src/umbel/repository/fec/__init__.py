"""Forward error correction: bytes as data and parity shards, of which some may be lost. Pure."""
