"""The media server, its protocol, its elements and the roles made of them."""
