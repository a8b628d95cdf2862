"""Ways to carry packets between functions: one module per technology."""
