"""What the operator promised each provider (SLA): values, rows, and the only entry to them."""
