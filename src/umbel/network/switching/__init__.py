"""What one switch holds: tables, rules, changes, counters and signals."""
