"""Small commands that images have: those that need the cluster's clock, network or process table, and the commonest.

Each is a program (see `images.model`). They follow busybox; where GNU or others speak differently, the image says so.
"""
