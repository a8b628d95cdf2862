"""Recording without I/O: what a recorder keeps, and how that is written down."""
