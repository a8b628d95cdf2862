"""What viewers keep of captures."""
