"""The controllers of a cluster: kube-controller-manager in this process. `registry` makes all of them."""
