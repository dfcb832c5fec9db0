"""Connections that outlive a request: exec, attach and port-forward, over WebSockets or upgraded connections."""
