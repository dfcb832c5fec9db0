"""A Kubernetes in Python: API server, controllers, scheduler, nodes, containers and network in one process.

It imports nothing of kuartui outside this package and is reached only over HTTPS, through a kubeconfig,
so that it could be a distribution of its own.
"""
