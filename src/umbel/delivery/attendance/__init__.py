"""How many watched an event, when and where, kept after its sessions are gone."""
