"""What marks an object as ours: everything that we put into a cluster or a container engine carries one of these."""

LABEL_ATTEMPT = "kuartui.dev/attempt"
LABEL_CHECKER = "kuartui.dev/checker"
SYSTEM_NAMESPACE = "kuartui-system"  # where checkers have their account and their probes
