"""Storage functions: which nodes keep shards of the repository, and that they run there."""
