"""Functions as pods on nodes of the operator's Kubernetes clusters. What speaks to API servers is
loaded when the first cluster is reached."""
