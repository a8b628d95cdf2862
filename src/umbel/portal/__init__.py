"""The front end: REST, server-sent events, the web app."""
