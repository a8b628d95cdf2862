"""What passes a node's border: captive portals, virtual services, functions away from home."""
