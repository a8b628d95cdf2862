"""Technologies that carry a notice to its subscriber."""
