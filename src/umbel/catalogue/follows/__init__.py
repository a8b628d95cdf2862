"""Who follows which provider, and who hears that an event is live."""
