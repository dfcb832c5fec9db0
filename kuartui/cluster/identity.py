"""Who acts on a shared cluster: a checker that may do everything, and a player who may do what the level needs.

Both are ServiceAccounts in `kuartui-system` with short-lived tokens in kubeconfigs of their own. The player may do
everything in the level's namespaces but hand out rights that he has not got, look at what a cluster is made of, and
what the level's `rights` add. Names follow from the sandbox, whose record is in the progress store before any of this
is made: so it is found again, and removed, after a crash.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from typing import Any

import yaml

from kuartui.cluster.access import Access
from kuartui.cluster.rest import Api
from kuartui.errors import ApiError
from kuartui.game.labels import LABEL_ATTEMPT, LABEL_CHECKER, SYSTEM_NAMESPACE
from kuartui.game.level import Right

Obj = dict[str, Any]
CHECKER = "kuartui-checker"
TOKEN_SECONDS = 12 * 3600
RBAC = "rbac.authorization.k8s.io"
EVERYTHING = ["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"]
LOOK = ["get", "list", "watch"]

#: in the level's namespaces; the second rule is part of Kubernetes' own `edit`, and without it nobody could bind that
IN_NAMESPACE: list[Obj] = [
    {"apiGroups": ["*"], "resources": ["*"], "verbs": EVERYTHING},
    {"apiGroups": [""], "resources": ["serviceaccounts"], "verbs": ["impersonate"]},
]
#: on the cluster: what kubectl get and describe show of it, and no object of any other namespace
ON_CLUSTER: list[Obj] = [
    {"apiGroups": [""], "resources": ["nodes", "namespaces", "persistentvolumes"], "verbs": LOOK},
    {"apiGroups": ["storage.k8s.io"], "resources": ["storageclasses"], "verbs": LOOK},
    {"apiGroups": ["scheduling.k8s.io"], "resources": ["priorityclasses"], "verbs": LOOK},
    {"apiGroups": ["networking.k8s.io"], "resources": ["ingressclasses"], "verbs": LOOK},
    {"apiGroups": ["gateway.networking.k8s.io"], "resources": ["gatewayclasses"], "verbs": LOOK},
    {"apiGroups": ["metrics.k8s.io"], "resources": ["nodes"], "verbs": LOOK},
]


async def make_checker(api: Api) -> None:
    """The checker's account; nothing to do when it is there."""
    label = {LABEL_CHECKER: "true"}
    await _ensure(api, _object("v1", "Namespace", SYSTEM_NAMESPACE, "", label))
    await _ensure(api, _object("v1", "ServiceAccount", CHECKER, SYSTEM_NAMESPACE, label))
    binding = _object(f"{RBAC}/v1", "ClusterRoleBinding", CHECKER, "", label)
    await _ensure(api, binding | _bound("ClusterRole", "cluster-admin", CHECKER))


async def make_account(api: Api, name: str) -> None:
    """The player's account, which may look at the cluster; what it may already do stays as it is."""
    label = _label(name)
    await _ensure(api, _object("v1", "ServiceAccount", name, SYSTEM_NAMESPACE, label))
    await _ensure(api, _object(f"{RBAC}/v1", "ClusterRole", name, "", label) | {"rules": ON_CLUSTER})
    binding = _object(f"{RBAC}/v1", "ClusterRoleBinding", name, "", label)
    await _ensure(api, binding | _bound("ClusterRole", name, name))


async def let_in(api: Api, name: str, namespaces: Iterable[str], rights: Iterable[Right]) -> None:
    """Give the account its roles in these namespaces and, beyond them, the rights of the level."""
    label = _label(name)
    rights = tuple(rights)
    wide = [rule for right in rights if not right.namespaces for rule in rules_of(right)]
    await _grant(api, "ClusterRole", name, "", label, [*ON_CLUSTER, *wide], name)
    for namespace in namespaces:
        try:
            await _grant(api, "Role", "kuartui-player", namespace, label, IN_NAMESPACE, name)
        except ApiError as error:
            if not on_its_way_out(error):
                raise  # a level may begin with a namespace on its way out, into which he was let before that
    for namespace in sorted({place for right in rights for place in right.namespaces}):
        rules = [rule for right in rights if namespace in right.namespaces for rule in rules_of(right)]
        await _grant(api, "Role", name, namespace, label, rules, name)


async def remove(api: Api, name: str) -> None:
    """The player's account and roles; the checker's too when no other attempt is in play there."""
    await remove_roles(api, f"{LABEL_ATTEMPT}={attempt_of(name)}")
    for kind in ("ClusterRoleBinding", "ClusterRole"):
        await api.delete(await api.resource(kind), "", name)
    accounts = await api.resource("ServiceAccount")
    await api.delete(accounts, SYSTEM_NAMESPACE, name)
    others = (await api.list(accounts, SYSTEM_NAMESPACE)).items
    if not any(LABEL_ATTEMPT in (item["metadata"].get("labels") or {}) for item in others):
        await remove_checker(api)


async def remove_roles(api: Api, selector: str) -> None:
    """What an account may do in namespaces that stay."""
    for kind in ("RoleBinding", "Role"):
        resource = await api.resource(kind)
        for obj in (await api.list(resource, selector=selector)).items:
            metadata = obj["metadata"]
            await api.delete(resource, metadata["namespace"], metadata["name"], uid=metadata["uid"])


async def remove_checker(api: Api) -> None:
    """The last thing to go: it is what we act with."""
    await api.delete(await api.resource("Namespace"), "", SYSTEM_NAMESPACE)
    await api.delete(await api.resource("ClusterRoleBinding"), "", CHECKER)


async def kubeconfig(api: Api, account: str, namespace: str) -> str:
    """A kubeconfig with a new token of that account."""
    path = f"/api/v1/namespaces/{SYSTEM_NAMESPACE}/serviceaccounts/{account}/token"
    body = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"expirationSeconds": TOKEN_SECONDS},
    }
    answer = await api.request("POST", path, body=body)
    return config_text(api.access, answer["status"]["token"], namespace)


def config_text(access: Access, token: str, namespace: str) -> str:
    """A kubeconfig that leads to the same server with another identity."""
    cluster: Obj = {"server": access.server}
    if access.ca:
        cluster["certificate-authority-data"] = base64.b64encode(access.ca).decode()
    if access.insecure:
        cluster["insecure-skip-tls-verify"] = True
    if access.server_name:
        cluster["tls-server-name"] = access.server_name
    context = {"cluster": "kuartui", "user": "kuartui", "namespace": namespace or "default"}
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "kuartui", "cluster": cluster}],
            "users": [{"name": "kuartui", "user": {"token": token}}],
            "contexts": [{"name": "kuartui", "context": context}],
            "current-context": "kuartui",
        },
        sort_keys=False,
    )


def rules_of(right: Right) -> list[Obj]:
    """RBAC rules: one per API group that the right names."""
    groups: dict[str, list[str]] = {}
    for resource in right.resources:
        whole, slash, sub = resource.partition("/")
        plain, _, group = whole.partition(".")
        groups.setdefault(group, []).append(plain + slash + sub)
    names = {"resourceNames": list(right.names)} if right.names else {}
    return [
        {"apiGroups": [group], "resources": resources, "verbs": list(right.verbs), **names}
        for group, resources in groups.items()
    ]


async def _grant(
    api: Api, kind: str, role: str, namespace: str, label: dict[str, str], rules: list[Obj], account: str
) -> None:
    made = _object(f"{RBAC}/v1", kind, role, namespace, label) | {"rules": rules}
    if not await _ensure(api, made):
        await api.patch(await api.resource(kind), namespace, role, {"rules": rules})
    binding = _object(f"{RBAC}/v1", f"{kind}Binding", role, namespace, label)
    await _ensure(api, binding | _bound(kind, role, account))


async def _ensure(api: Api, obj: Obj) -> bool:
    """Make it; False when it is there already."""
    try:
        await api.create(await api.resource(obj["kind"], obj["apiVersion"]), obj)
    except ApiError as error:
        if error.reason != "AlreadyExists":
            raise
        return False
    return True


def on_its_way_out(error: ApiError) -> bool:
    """Whether a write was refused because its namespace is being deleted."""
    return error.code == 403 and "being terminated" in error.message


def attempt_of(account: str) -> str:
    """The attempt that an account is for, as our label has it."""
    return account.removeprefix("attempt-").removeprefix("proof-")


def user_of(account: str) -> str:
    """As whom the API server knows it."""
    return f"system:serviceaccount:{SYSTEM_NAMESPACE}:{account}"


def _label(account: str) -> dict[str, str]:
    return {LABEL_ATTEMPT: attempt_of(account)}


def _object(api_version: str, kind: str, name: str, namespace: str, labels: dict[str, str]) -> Obj:
    metadata = {"name": name, "labels": labels, **({"namespace": namespace} if namespace else {})}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata}


def _bound(kind: str, role: str, account: str) -> Obj:
    return {
        "roleRef": {"apiGroup": RBAC, "kind": kind, "name": role},
        "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": SYSTEM_NAMESPACE}],
    }
