"""Virtual nodes: a kubelet for each, and the runtime that their containers run on."""
