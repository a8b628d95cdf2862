"""What operators changed of the nodes while the platform ran: values, pure rules, rows."""
