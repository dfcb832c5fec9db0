"""Names that CRDs know: of the finalizer that empties them, of the annotation that groups of the community need."""

from __future__ import annotations

CLEANUP = "customresourcecleanup.apiextensions.k8s.io"
APPROVAL = "api-approved.kubernetes.io"


def is_protected(group: str) -> bool:
    """Whether a group is the Kubernetes community's own."""
    return f".{group}".endswith((".k8s.io", ".kubernetes.io"))
