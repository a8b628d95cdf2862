"""The browsers that a viewer's notices go to."""
