"""The firewall: which sources may reach which ports of a guest."""
