"""A node's own operating system, as one meets it with `chroot /host` in a pod of `kubectl debug node/NAME`."""
