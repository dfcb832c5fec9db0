"""Persistent volumes: binding, provisioning, expansion, protection."""
