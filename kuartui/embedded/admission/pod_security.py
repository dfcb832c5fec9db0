"""PodSecurity: namespaces say by labels which Pod Security Standard is enforced, warned about and audited.

https://kubernetes.io/docs/concepts/security/pod-security-admission/. Pods are denied; what makes pods (Deployments,
Jobs, …) is only warned about, since its pods are denied later.
"""

from __future__ import annotations

import re
from typing import Any

from kuartui.embedded.admission.base import Attributes, Plugin
from kuartui.embedded.admission.pod_security_checks import LATEST, LEVELS, PRIVILEGED, violations
from kuartui.embedded.meta import errors, fielderr
from kuartui.embedded.store import Store

Obj = dict[str, Any]

PREFIX = "pod-security.kubernetes.io/"
MODES = ("enforce", "audit", "warn")
_VERSION = re.compile(r"latest|v1\.(0|[1-9][0-9]*)")
SHOWN_PODS = 3000  # existing pods that a change of the enforced level looks at

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


class PodSecurity(Plugin):
    def __init__(self, store: Store) -> None:
        self._store = store

    async def validate(self, attributes: Attributes) -> None:
        if attributes.obj is None or attributes.subresource not in ("", "ephemeralcontainers"):
            return
        if attributes.resource == "namespaces":
            self._namespace(attributes)
            return
        path = TEMPLATES.get(attributes.resource)
        if path is None or attributes.operation not in ("CREATE", "UPDATE"):
            return
        spec = _dig(attributes.obj, path)
        if spec is None:
            return
        if attributes.resource == "pods" and attributes.old is not None and not _matters(spec, attributes.old["spec"]):
            return
        namespace = self._store.get("namespaces", "", attributes.namespace)
        labels = (namespace.data["metadata"].get("labels") or {}) if namespace else {}
        self._judge(attributes, labels, spec)

    def _judge(self, attributes: Attributes, labels: Obj, spec: Obj) -> None:
        level, version = _policy(labels, "enforce")
        denied = violations(spec, level, _minor(version)) if attributes.resource == "pods" else []
        if denied:
            why = f'violates PodSecurity "{level}:{version}": {", ".join(map(str, denied))}'
            raise errors.forbidden("pods", attributes.name, why)
        warned, warned_version = _policy(labels, "warn")
        if attributes.resource != "pods" and LEVELS.index(level) > LEVELS.index(warned):
            warned, warned_version = level, version  # what will be denied later is warned about now
        found = violations(spec, warned, _minor(warned_version))
        if found:
            text = f'would violate PodSecurity "{warned}:{warned_version}": {", ".join(map(str, found))}'
            attributes.warnings.append(text)

    def _namespace(self, attributes: Attributes) -> None:
        new = attributes.obj or {}
        labels = new["metadata"].get("labels") or {}
        problems = []
        for mode in MODES:
            level = labels.get(PREFIX + mode)
            if level is not None and level not in LEVELS:
                path = f"metadata.labels[{PREFIX}{mode}]"
                problems.append(fielderr.invalid(path, level, "must be one of privileged, baseline, restricted"))
            version = labels.get(f"{PREFIX}{mode}-version")
            if version is not None and not _VERSION.fullmatch(version):
                path = f"metadata.labels[{PREFIX}{mode}-version]"
                problems.append(fielderr.invalid(path, version, 'must be "latest" or "v1.x"'))
        if problems:
            raise errors.invalid("", "Namespace", attributes.name, problems)
        before = ((attributes.old or {}).get("metadata", {}).get("labels")) or {}
        level, version = _policy(labels, "enforce")
        old_level, old_version = _policy(before, "enforce")
        stricter = LEVELS.index(level) > LEVELS.index(old_level) or version != old_version
        if attributes.old is not None and stricter:
            self._warn_of_existing(attributes, level, version)

    def _warn_of_existing(self, attributes: Attributes, level: str, version: str) -> None:
        """Say which running pods would not be let in any more; those of one text together."""
        if level == PRIVILEGED:
            return
        minor = _minor(version)
        found: dict[str, list[str]] = {}
        for stored in self._store.list("pods", attributes.name)[:SHOWN_PODS]:
            reasons = [violation.reason for violation in violations(stored.data["spec"], level, minor)]
            if reasons:
                found.setdefault(", ".join(reasons), []).append(stored.key.name)
        if not found:
            return
        head = f'existing pods in namespace "{attributes.name}" violate the new PodSecurity enforce level'
        attributes.warnings.append(f'{head} "{level}:{version}"')
        texts = []
        for reasons_text, pods in found.items():
            more = ""
            if len(pods) > 1:
                others = len(pods) - 1
                more = f" (and {others} other pod{'s' if others > 1 else ''})"
            texts.append(f"{min(pods)}{more}: {reasons_text}")
        attributes.warnings += sorted(texts)


def _policy(labels: Obj, mode: str) -> tuple[str, str]:
    """Level and version of a mode; without a label everything is privileged."""
    level = labels.get(PREFIX + mode, PRIVILEGED)
    return (level if level in LEVELS else "restricted"), labels.get(f"{PREFIX}{mode}-version", "latest")


def _minor(version: str) -> float:
    """22 of v1.22. What is no version counts as the latest."""
    return float(version.removeprefix("v1.")) if version != "latest" and _VERSION.fullmatch(version) else LATEST


def _matters(new: Obj, old: Obj) -> bool:
    """Whether an update of a pod has it judged again: other images, or other containers."""
    fields = ("containers", "initContainers")
    if any(len(new.get(field) or []) != len(old.get(field) or []) for field in fields):
        return True
    pairs = [pair for field in fields for pair in zip(new.get(field) or [], old.get(field) or [], strict=True)]
    before = {one["name"]: one for one in old.get("ephemeralContainers") or []}
    pairs += [(one, before.get(one["name"], {})) for one in new.get("ephemeralContainers") or []]
    return any(now.get("image") != was.get("image") for now, was in pairs)


def _dig(obj: Obj, path: tuple[str, ...]) -> Obj | None:
    place: Any = obj
    for part in path:
        place = (place or {}).get(part)
    return place if isinstance(place, dict) else None
