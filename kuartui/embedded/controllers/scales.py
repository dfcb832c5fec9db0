"""Whose size can be asked and set: kinds with a scale subresource, custom ones included, after client-go's ScalesGetter."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from kuartui.embedded.client import Client
from kuartui.embedded.controllers import objects
from kuartui.embedded.meta.labels import Selector, from_object, parse

Obj = dict[str, Any]

CRDS = "customresourcedefinitions.apiextensions.k8s.io"
PATHS = ("spec.replicas", "status.replicas", "spec.selector")
BUILT_IN = {
    ("apps", "Deployment"): "deployments.apps",
    ("apps", "ReplicaSet"): "replicasets.apps",
    ("apps", "StatefulSet"): "statefulsets.apps",
    ("", "ReplicationController"): "replicationcontrollers",
}
WITHOUT = {
    ("apps", "DaemonSet"): "daemonsets.apps",
    ("batch", "CronJob"): "cronjobs.batch",
    ("batch", "Job"): "jobs.batch",
    ("", "Node"): "nodes",
    ("", "Pod"): "pods",
    ("", "Service"): "services",
}


class Scalable(Struct, frozen=True):
    """A kind. `paths` lead to the wanted number, the current one and the selector; None: it has no size."""

    resource: str
    paths: tuple[str, str, str] | None

    def wanted(self, obj: Obj) -> int:
        """The size that an object of the kind should have; none in a custom resource counts as 0, as in its Scale."""
        assert self.paths is not None
        found = _at(obj, self.paths[0])
        if found is None:
            return 1 if self.paths is PATHS else 0
        return int(found)

    def patch(self, replicas: int) -> Obj:
        """A merge patch to that size."""
        assert self.paths is not None
        patch: Any = replicas
        for part in reversed(self.paths[0].strip(".").split(".")):
            patch = {part: patch}
        return dict(patch)

    def selector(self, obj: Obj) -> Selector | None:
        """Whose pods they are; None if it does not say."""
        assert self.paths is not None
        found = _at(obj, self.paths[2]) if self.paths[2] else None
        if isinstance(found, str):
            return parse(found) if found else None
        if isinstance(found, dict) and not {"matchLabels", "matchExpressions"} & found.keys():
            found = {"matchLabels": found}  # a ReplicationController's is labels alone
        return from_object(found) if found else None


def find(client: Client, api_version: str, kind: str) -> Scalable | None:
    """The kind that a reference names, if there is such a kind."""
    group, _, version = api_version.rpartition("/")
    if resource := BUILT_IN.get((group, kind)):
        return Scalable(resource, PATHS)
    if resource := WITHOUT.get((group, kind)):
        return Scalable(resource, None)
    for crd in client.list(CRDS):
        spec = crd["spec"]
        if spec["group"] != group or spec["names"]["kind"] != kind or not objects.condition_true(crd, "Established"):
            continue
        served = [one for one in spec["versions"] if one.get("served")]
        asked = [one for one in served if one["name"] == version] or served
        if asked:
            scale = (asked[0].get("subresources") or {}).get("scale")
            paths = scale and (
                scale["specReplicasPath"],
                scale["statusReplicasPath"],
                scale.get("labelSelectorPath", ""),
            )
            return Scalable(f"{spec['names']['plural']}.{group}", paths or None)
    return None


def _at(obj: Obj, path: str) -> Any:
    value: Any = obj
    for part in path.strip(".").split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value
