"""Who finds an event, and who may watch it."""
