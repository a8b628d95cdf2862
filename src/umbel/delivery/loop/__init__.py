"""The control loop: what is observed, and one reconciliation per stream."""
