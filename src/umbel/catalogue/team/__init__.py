"""Who works for a provider."""
