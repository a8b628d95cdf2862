"""Which running functions go to which node: to empty a node, for balance, or for less power."""
