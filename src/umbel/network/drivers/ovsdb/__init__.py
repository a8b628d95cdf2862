"""Open vSwitch's database: how switches' bridges are made and watched (RFC 7047)."""
