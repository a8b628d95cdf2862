"""An operator's network on one machine: a network namespace and a switch for every node."""
