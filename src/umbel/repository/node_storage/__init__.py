"""A storage function: keeps the blobs of one shard in a folder of its node, and serves them."""
