"""A Kubernetes that we can play on: the protocol, the client that checks use, and one adapter per kind of cluster."""
