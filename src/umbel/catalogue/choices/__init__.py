"""When and how a viewer wants to hear of events."""
