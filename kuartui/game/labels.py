"""What marks an object as ours (everything that we put into a cluster or a container engine carries one of these), and
what kubectl marks."""

LABEL_ATTEMPT = "kuartui.dev/attempt"
LABEL_CHECKER = "kuartui.dev/checker"
SYSTEM_NAMESPACE = "kuartui-system"  # where checkers have their account and their probes
RESTARTED = "kubectl.kubernetes.io/restartedAt"  # what `kubectl rollout restart` writes into a template
