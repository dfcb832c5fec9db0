"""Nodes that fall silent, taints that drive pods out, pods that nobody looks after any more."""
