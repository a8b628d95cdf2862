"""Linux nodes: namespaces, queues and encrypted links."""
