"""Files that come from API objects: ConfigMaps, Secrets, the downward API, service account tokens.

After pkg/volume/{configmap,secret,downwardapi,projected}.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from msgspec import Struct

from kuartui.embedded.client import Client
from kuartui.embedded.node.env import Surroundings
from kuartui.embedded.node.fields import field_value, resource_value
from kuartui.embedded.node.payload import config_map_bytes, secret_bytes
from kuartui.embedded.node.runtime import Projected

Obj = dict[str, Any]

DEFAULT_MODE = 0o644
TOKEN_SECONDS = 3600


class MountError(Exception):
    """A volume cannot be set up; the text is the reason that FailedMount gives."""


class TokenSource(Protocol):
    """Who signs service account tokens."""

    def token(self, pod: Obj, audiences: list[str], seconds: int) -> str:
        """A token bound to a pod, for its service account. Raises LookupError if there is no such account."""
        ...


class Sources(Struct, frozen=True):
    """Where content comes from, for one pod."""

    client: Client
    pod: Obj
    around: Surroundings
    tokens: TokenSource


def files(volume: Obj, sources: Sources) -> dict[str, Projected] | None:
    """The files of a volume that is made of API objects, None for any other. Raises MountError."""
    if "configMap" in volume:
        source = volume["configMap"]
        return _config_map(source, source.get("name", ""), _mode(source), sources)
    if "secret" in volume:
        source = volume["secret"]
        return _secret(source, source.get("secretName", ""), _mode(source), sources)
    if "downwardAPI" in volume:
        source = volume["downwardAPI"]
        return _downward(source.get("items") or (), _mode(source), sources)
    if "projected" in volume:
        return _projected(volume["projected"], sources)
    return None


def references(volume: Obj) -> Iterable[tuple[str, str]]:
    """The (resource, name) of each object that a volume shows."""
    if "configMap" in volume:
        yield "configmaps", volume["configMap"].get("name", "")
    if "secret" in volume:
        yield "secrets", volume["secret"].get("secretName", "")
    for source in volume.get("projected", {}).get("sources") or ():
        if "configMap" in source:
            yield "configmaps", source["configMap"].get("name", "")
        if "secret" in source:
            yield "secrets", source["secret"].get("name", "")


def token_seconds(pod: Obj) -> int | None:
    """For how long the tokens in a pod's volumes are good, the shortest of them; None without any."""
    return min(
        (
            int(source["serviceAccountToken"].get("expirationSeconds", TOKEN_SECONDS))
            for volume in pod["spec"].get("volumes") or ()
            for source in (volume.get("projected") or {}).get("sources") or ()
            if "serviceAccountToken" in source
        ),
        default=None,
    )


def _mode(source: Obj) -> int:
    return int(source.get("defaultMode", DEFAULT_MODE))


def _config_map(source: Obj, name: str, mode: int, sources: Sources) -> dict[str, Projected]:
    optional = bool(source.get("optional"))
    found = _fetch("configmaps", name, optional, sources)
    missing = "configmap references non-existent config key: "
    return _payload(config_map_bytes(found or {}), source.get("items") or [], mode, optional, missing)


def _secret(source: Obj, name: str, mode: int, sources: Sources) -> dict[str, Projected]:
    optional = bool(source.get("optional"))
    found = _fetch("secrets", name, optional, sources)
    missing = "references non-existent secret key: "
    return _payload(secret_bytes(found or {}), source.get("items") or [], mode, optional, missing)


def _fetch(resource: str, name: str, optional: bool, sources: Sources) -> Obj | None:
    found = sources.client.get(resource, sources.pod["metadata"]["namespace"], name)
    if found is None and not optional:
        raise MountError(f'{resource.removesuffix("s")} "{name}" not found')
    return found


def _payload(data: dict[str, bytes], items: list[Obj], mode: int, optional: bool, missing: str) -> dict[str, Projected]:
    if not items:
        return {key: Projected(value, mode) for key, value in data.items()}
    chosen = {}
    for item in items:
        if item["key"] in data:
            chosen[item["path"]] = Projected(data[item["key"]], int(item.get("mode", mode)))
        elif not optional:
            raise MountError(missing + item["key"])
    return chosen


def _downward(items: Iterable[Obj], mode: int, sources: Sources) -> dict[str, Projected]:
    around, made = sources.around, {}
    for item in items:
        if "fieldRef" in item:
            path = item["fieldRef"]["fieldPath"]
            text = field_value(sources.pod, path, around.ips, around.host_ips)
        else:
            text = resource_value(sources.pod, item["resourceFieldRef"], None, around.allocatable)
        made[item["path"]] = Projected(text.encode(), int(item.get("mode", mode)))
    return made


def _projected(volume: Obj, sources: Sources) -> dict[str, Projected]:
    mode = _mode(volume)
    made: dict[str, Projected] = {}
    errors: list[str] = []
    for source in volume.get("sources") or ():
        try:
            made |= _projection(source, mode, sources)
        except MountError as error:
            errors.append(str(error))
    if errors:
        raise MountError(errors[0] if len(errors) == 1 else f"[{', '.join(errors)}]")
    return made


def _projection(source: Obj, mode: int, sources: Sources) -> dict[str, Projected]:
    if "configMap" in source:
        return _config_map(source["configMap"], source["configMap"].get("name", ""), mode, sources)
    if "secret" in source:
        return _secret(source["secret"], source["secret"].get("name", ""), mode, sources)
    if "downwardAPI" in source:
        return _downward(source["downwardAPI"].get("items") or (), mode, sources)
    if "serviceAccountToken" in source:
        return _token(source["serviceAccountToken"], mode, sources)
    return {}


def _token(source: Obj, mode: int, sources: Sources) -> dict[str, Projected]:
    pod = sources.pod
    audience = source.get("audience")
    seconds = int(source.get("expirationSeconds", TOKEN_SECONDS))
    try:
        token = sources.tokens.token(pod, [audience] if audience else [], seconds)
    except LookupError:
        account = pod["spec"].get("serviceAccountName", "default")
        namespace = pod["metadata"]["namespace"]
        raise MountError(
            f'failed to fetch token: serviceaccounts "{account}" not found for {namespace}/{account}'
        ) from None
    user = _common_user(pod)
    if pod["spec"].get("securityContext", {}).get("fsGroup") is not None or user is not None:
        mode = 0o600
    # pkg/volume/projected: of all projections the token alone belongs to the pod's user
    return {source["path"]: Projected(token.encode(), mode, uid=user or 0)}


def _common_user(pod: Obj) -> int | None:
    """The uid that all containers of a pod are told to run as, if it is one and the same."""
    own = (pod["spec"].get("securityContext") or {}).get("runAsUser")
    users = {
        (container.get("securityContext") or {}).get("runAsUser", own)
        for kind in ("initContainers", "containers")
        for container in pod["spec"].get(kind) or ()
    }
    return users.pop() if len(users) == 1 else None
