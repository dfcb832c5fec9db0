"""The security context, as far as a player can see its effects.

After pkg/securitycontext and `verifyRunAsNonRoot` (pkg/kubelet/kuberuntime/security_context.go).
"""

from __future__ import annotations

from typing import Any

from kuartui.embedded.images.model import Image
from kuartui.embedded.node.env import ConfigError
from kuartui.embedded.node.runtime import CreateError, Credentials, granted, image_user
from kuartui.embedded.node.wording import pod_ref, quoted

Obj = dict[str, Any]
SECCOMP_ROOT = "/var/lib/kubelet/seccomp"
APPARMOR_DEFAULT = "cri-containerd.apparmor.d"
"""The only profile that our nodes have loaded: containerd's own."""


def effective(pod: Obj, container: Obj) -> Obj:
    """The container's security context over the pod's, for the fields that both have."""
    of_pod = pod["spec"].get("securityContext") or {}
    shared = ("runAsUser", "runAsGroup", "runAsNonRoot", "seccompProfile", "seLinuxOptions", "appArmorProfile")
    return {key: of_pod[key] for key in shared if key in of_pod} | (container.get("securityContext") or {})


def credentials(pod: Obj, container: Obj) -> Credentials:
    """Ids for the container's processes."""
    context, of_pod = effective(pod, container), pod["spec"].get("securityContext") or {}
    groups = list(of_pod.get("supplementalGroups") or ())
    if of_pod.get("fsGroup") is not None:
        groups.append(of_pod["fsGroup"])
    asked = context.get("capabilities") or {}
    privileged = bool(context.get("privileged"))
    return Credentials(
        context.get("runAsUser"),
        context.get("runAsGroup"),
        tuple(groups),
        granted(asked.get("add") or (), asked.get("drop") or (), privileged=privileged),
        context.get("allowPrivilegeEscalation") is False,
        of_pod.get("supplementalGroupsPolicy") != "Strict",
    )


def seccomp_file(pod: Obj, container: Obj) -> str:
    """Where on the node the seccomp profile of a container must be, "" if it needs none of the node's own."""
    context = effective(pod, container)
    profile = context.get("seccompProfile") or {}
    if profile.get("type") != "Localhost" or context.get("privileged"):
        return ""
    return f"{SECCOMP_ROOT}/{profile.get('localhostProfile', '').lstrip('/')}"


def find_apparmor(pod: Obj, container: Obj) -> None:
    """Raises CreateError, as containerd does, for an AppArmor profile that is not loaded on the node."""
    profile = effective(pod, container).get("appArmorProfile") or {}
    name = profile.get("localhostProfile", "")
    if profile.get("type") == "Localhost" and name != APPARMOR_DEFAULT:
        why = f"failed to generate apparmor spec opts: apparmor profile not found {name}"
        raise CreateError(f"failed to get container spec opts: {why}")


def verify_non_root(pod: Obj, container: Obj, image: Image) -> None:
    """runAsNonRoot, checked before a container is made. Raises ConfigError."""
    context = effective(pod, container)
    if not context.get("runAsNonRoot"):
        return
    where = f"(pod: {quoted(pod_ref(pod))}, container: {container['name']})"
    if context.get("runAsUser") is not None:
        if context["runAsUser"] == 0:
            raise ConfigError(f"container's runAsUser breaks non-root policy {where}")
        return
    uid, name = image_user(image)
    if uid == 0:
        raise ConfigError(f"container has runAsNonRoot and image will run as root {where}")
    if name:
        raise ConfigError(
            f"container has runAsNonRoot and image has non-numeric user ({name}), "
            f"cannot verify user is non-root {where}"
        )
