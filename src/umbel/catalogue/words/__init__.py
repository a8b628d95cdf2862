"""The words by which events and providers are found."""
