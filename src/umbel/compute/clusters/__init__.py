"""Nodes of the operator's Kubernetes clusters, whose pods run functions."""
