"""kuartui: get good at Kubernetes without leaving the terminal."""

__version__ = "0.1.0"
