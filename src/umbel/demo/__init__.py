"""A whole operator network on one machine, as a newcomer first meets it."""
