"""PodSecurity: namespaces say by labels which Pod Security Standard is enforced, warned about and audited.

https://kubernetes.io/docs/concepts/security/pod-security-admission/. Pods are denied; what makes pods (Deployments,
Jobs, …) is only warned about, since its pods are denied later.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kuartui.embedded.admission.base import Plugin
from kuartui.embedded.admission.pod_security_checks import PRIVILEGED, violations
from kuartui.embedded.kinds.base import WriteContext
from kuartui.embedded.meta.errors import StatusError

Obj = dict[str, Any]

PREFIX = "pod-security.kubernetes.io/"

#: where the pod's spec is, by resource
TEMPLATES: dict[str, tuple[str, ...]] = {
    "pods": ("spec",),
    "replicationcontrollers": ("spec", "template", "spec"),
    "podtemplates": ("template", "spec"),
    "deployments.apps": ("spec", "template", "spec"),
    "replicasets.apps": ("spec", "template", "spec"),
    "statefulsets.apps": ("spec", "template", "spec"),
    "daemonsets.apps": ("spec", "template", "spec"),
    "jobs.batch": ("spec", "template", "spec"),
    "cronjobs.batch": ("spec", "jobTemplate", "spec", "template", "spec"),
}
