"""What we may write on a cluster that is not ours alone, enforced where every request leaves us.

A fenced `Api` lets a write through when it stays in a namespace that carries our label, when it makes an object that
carries it, when it changes one that does, or when the level gives the player the right to change exactly that object
(then we may put it back). The label is that of the attempt in play: another attempt's things are somebody else's.
Everything else is refused before it is sent. Reads and dry-runs change nothing.

A label alone makes nothing ours: a player may put it on what is somebody else's. The API server knows who wrote it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from kuartui.cluster.rest import MANAGER
from kuartui.errors import ClusterError
from kuartui.game.labels import LABEL_ATTEMPT, LABEL_CHECKER, SYSTEM_NAMESPACE
from kuartui.game.level import Right
from kuartui.message import later

Obj = dict[str, Any]
Read = Callable[[str], Awaitable[Obj | None]]  # an object by its path
QUESTIONS = {"subjectaccessreviews", "selfsubjectaccessreviews", "localsubjectaccessreviews"}
CHECKERS = "kuartui-"  # so begin the names of what is the checker's own: its namespace, its binding
LABELS = {LABEL_ATTEMPT, LABEL_CHECKER}
#: those that every cluster has; some of them even its API server lets go
CLUSTERS_OWN = {"default", "kube-system", "kube-public", "kube-node-lease"}
#: a write of ours -> the verbs that the player must have for it to be the repair of something he did
CHANGES = {"POST": {"delete"}, "PUT": {"update", "patch"}, "PATCH": {"update", "patch"}, "DELETE": {"delete", "create"}}


@dataclass(frozen=True, slots=True)
class Target:
    """What a path names: `deployments.apps` `web` in `shop`; the name is empty for a collection."""

    resource: str
    namespace: str
    name: str
    path: str  # of the object itself, without a subresource

    def __str__(self) -> str:
        place = f" in namespace {self.namespace}" if self.namespace else ""
        return f"{self.resource}{' ' + self.name if self.name else ''}{place}"


class Fence:
    """`rights` are those of the level in play: what a player may change we may restore. `attempt` is that of our label;
    "" is any, for who makes and removes accounts."""

    def __init__(self, rights: Iterable[Right] = (), attempt: str = "") -> None:
        self.rights, self.attempt = tuple(rights), attempt
        self._ours: set[str] = {SYSTEM_NAMESPACE}

    def claim(self, ours: str) -> None:
        """A namespace, or the object with this uid, is known to be ours, though its label may be gone."""
        self._ours.add(ours)

    async def check(self, method: str, path: str, params: Mapping[str, str], body: Any, read: Read) -> None:
        """ClusterError when this write may not be sent."""
        if method in ("GET", "HEAD") or params.get("dryRun") == "All":
            return
        target = parse(path)
        if target is None:
            raise ClusterError(later("kuartui does not write to {path} on a cluster that others use", path=path))
        if target.resource.partition(".")[0] in QUESTIONS or await self._is_ours(target, read):
            return
        if not target.name:
            made = replace(target, name=_name(body))
            fine = method == "POST" and (self._labelled(body, made) or self._granted(method, made))
        elif target.resource == "namespaces" and target.name in CLUSTERS_OWN and method == "DELETE":
            fine = False
        elif target.resource == "namespaces" and target.name in self._ours:
            fine = True
        else:
            fine = self._granted(method, target) or await self._may_change(method, target, body, read)
        if not fine:
            raise ClusterError(
                later("{target} is not kuartui's: it is left alone", target=target),
                hint=later("this level may need a cluster of its own: play it with --cluster embedded"),
            )

    async def check_exec(self, namespace: str, read: Read) -> None:
        """ClusterError when a command may not be run there."""
        target = Target("pods", namespace, "", "")
        if not await self._is_ours(target, read) and not self._granted("PUT", target):
            raise ClusterError(
                later("namespace {namespace} is not kuartui's: no command is run there", namespace=namespace)
            )

    async def _may_change(self, method: str, target: Target, body: Any, read: Read) -> bool:
        live = await read(target.path)
        if live is None:  # there is nothing to harm; an apply makes it
            return method == "DELETE" or self._labelled(body, target)
        claim = (live.get("spec") or {}).get("claimRef") or {}
        bound = target.resource == "persistentvolumes" and claim.get("namespace") in self._ours
        known = live.get("metadata", {}).get("uid") in self._ours
        return bound or known or (self._labelled(live, target) and labelled_by_us(live))

    async def _is_ours(self, target: Target, read: Read) -> bool:
        if not target.namespace:
            return False
        if target.namespace not in self._ours:
            path = f"/api/v1/namespaces/{target.namespace}"
            live = await read(path)
            labelled = live is not None and self._labelled(live, Target("namespaces", "", target.namespace, path))
            if labelled and labelled_by_us(live or {}):
                self._ours.add(target.namespace)
        return target.namespace in self._ours

    def _labelled(self, obj: Any, target: Target) -> bool:
        labels = obj.get("metadata", {}).get("labels") if isinstance(obj, dict) else None
        if not isinstance(labels, dict):
            return False
        if LABEL_CHECKER in labels and not target.namespace and target.name.startswith(CHECKERS):
            return True
        return labels.get(LABEL_ATTEMPT) == self.attempt if self.attempt else LABEL_ATTEMPT in labels

    def _granted(self, method: str, target: Target) -> bool:
        verbs = verbs_on(self.rights, target.resource, target.namespace, target.name)
        return bool(CHANGES.get(method, set()) & verbs) or (method == "PUT" and may_change(verbs))


def labelled_by_us(obj: Obj) -> bool:
    """Whether it was kuartui that gave a labelled object its label, as far as its API server keeps book of that."""
    book = obj["metadata"].get("managedFields") or []
    return not book or any(entry.get("manager") == MANAGER and LABELS & _labels_of(entry) for entry in book)


def _labels_of(entry: Obj) -> set[str]:
    """The labels that a manager of fields wrote."""
    written = (entry.get("fieldsV1") or {}).get("f:metadata") or {}
    return {field.removeprefix("f:") for field in written.get("f:labels") or {}}


def verbs_on(rights: Iterable[Right], resource: str, namespace: str, name: str) -> set[str]:
    """What rights, taken together, let a player do to one object."""
    return {verb for right in rights if covers(right, resource, namespace, name) for verb in right.verbs}


def may_change(verbs: set[str]) -> bool:
    """Whether an object may be another one than it was: who removes it and makes it anew need not update it."""
    return bool({"update", "patch"} & verbs) or {"create", "delete"} <= verbs


def covers(right: Right, resource: str, namespace: str, name: str) -> bool:
    """Whether a right is about this object (nothing is said about verbs)."""
    return (
        resource in right.resources
        and (namespace in right.namespaces if right.namespaces else True)
        and (not right.names or name in right.names)
    )


def parse(path: str) -> Target | None:
    """What an API path names; None for paths that are no object's."""
    parts = path.strip("/").split("/")
    if parts[0] == "api" and len(parts) > 2:
        group, prefix, rest = "", parts[:2], parts[2:]
    elif parts[0] == "apis" and len(parts) > 3:
        group, prefix, rest = parts[1], parts[:3], parts[3:]
    else:
        return None
    namespace, within = "", []
    if rest[0] == "namespaces" and len(rest) > 2 and rest[2] not in ("status", "finalize"):
        namespace, within, rest = rest[1], rest[:2], rest[2:]
    resource = f"{rest[0]}.{group}" if group else rest[0]
    return Target(resource, namespace, rest[1] if len(rest) > 1 else "", "/" + "/".join([*prefix, *within, *rest[:2]]))


def _name(body: Any) -> str:
    return str(body.get("metadata", {}).get("name", "")) if isinstance(body, dict) else ""
