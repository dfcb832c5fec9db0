"""The environment of a container, after the kubelet's `makeEnvironmentVariables` and pkg/kubelet/envvars."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from msgspec import Struct

from kuartui.embedded.client import Client
from kuartui.embedded.node.env_file import BadEnvFile, value_in
from kuartui.embedded.node.expansion import expand
from kuartui.embedded.node.fields import field_value, resource_value
from kuartui.embedded.node.payload import secret_bytes
from kuartui.embedded.node.wording import quoted

Obj = dict[str, Any]


class ConfigError(Exception):
    """A container cannot be configured: CreateContainerConfigError, with this message."""


class Surroundings(Struct, frozen=True):
    """What a container's variables and files may tell of where the pod runs."""

    ips: list[str]
    host_ips: list[str]
    allocatable: Mapping[str, str]


EnvFile = Callable[[str, str], tuple[str, str | None]]
"""Where a file in a volume of the pod is on the node, and its text (None: it is not there). Raises ConfigError."""


def environment(client: Client, pod: Obj, container: Obj, around: Surroundings, env_file: EnvFile) -> dict[str, str]:
    """All variables that Kubernetes sets, the container's own first as the kubelet has them. Raises ConfigError."""
    services = service_variables(client, pod)
    env: dict[str, str] = {}
    for source in container.get("envFrom") or ():
        env |= _from_source(client, pod, source)
    for variable in container.get("env") or ():
        if "fileKeyRef" in (variable.get("valueFrom") or {}):
            value = _from_file(variable["valueFrom"]["fileKeyRef"], env_file)
        else:
            value = _value(client, pod, container, variable, env, services, around)
        if value is not None:
            env[variable["name"]] = value
    return {**env, **{name: value for name, value in services.items() if name not in env}}


def _from_source(client: Client, pod: Obj, source: Obj) -> dict[str, str]:
    prefix = source.get("prefix", "")
    if "configMapRef" in source:
        ref = source["configMapRef"]
        found = _fetch(client, pod, "configmaps", ref)
        data = (found or {}).get("data") or {}
    else:
        ref = source["secretRef"]
        found = _fetch(client, pod, "secrets", ref)
        data = {key: text(value) for key, value in secret_bytes(found or {}).items()}
    return {prefix + key: data[key] for key in sorted(data)}


def text(value: bytes) -> str:
    """A secret's value as a variable's: bytes that are no UTF-8 survive the way through a str."""
    return value.decode("utf-8", "surrogateescape")


def _fetch(client: Client, pod: Obj, resource: str, ref: Obj) -> Obj | None:
    name = ref.get("name", "")
    found = client.get(resource, pod["metadata"]["namespace"], name)
    if found is None and not ref.get("optional"):
        raise ConfigError(f'{resource.removesuffix("s")} "{name}" not found')
    return found


def _value(
    client: Client,
    pod: Obj,
    container: Obj,
    variable: Obj,
    env: dict[str, str],
    services: dict[str, str],
    around: Surroundings,
) -> str | None:
    """The value of one variable; None leaves it out."""
    source = variable.get("valueFrom")
    if not source:
        return expand(variable.get("value") or "", env, services)
    if "fieldRef" in source:
        return field_value(pod, source["fieldRef"]["fieldPath"], around.ips, around.host_ips)
    if "resourceFieldRef" in source:
        return resource_value(pod, source["resourceFieldRef"], container, around.allocatable)
    if "configMapKeyRef" in source:
        return _key(client, pod, "configmaps", "ConfigMap", source["configMapKeyRef"])
    if "secretKeyRef" in source:
        return _key(client, pod, "secrets", "Secret", source["secretKeyRef"])
    return None


def _from_file(ref: Obj, env_file: EnvFile) -> str | None:
    """An optional key may be missing, but not its file."""
    where, content = env_file(ref["volumeName"], ref["path"])
    if content is None:
        raise ConfigError("couldn't parse env file")
    try:
        value = value_in(content, ref["key"])
    except BadEnvFile as error:
        raise ConfigError("couldn't parse env file") from error
    if not value and not ref.get("optional"):
        raise ConfigError(f"environment variable key {quoted(ref['key'])} not found in file {quoted(where)}")
    return value or None


def _key(client: Client, pod: Obj, resource: str, kind: str, ref: Obj) -> str | None:
    found = _fetch(client, pod, resource, ref)
    if found is None:
        return None
    if kind == "Secret":
        value = secret_bytes(found).get(ref["key"])
        data = None if value is None else text(value)
    else:
        data = (found.get("data") or {}).get(ref["key"])
    if data is None and not ref.get("optional"):
        raise ConfigError(f"couldn't find key {ref['key']} in {kind} {pod['metadata']['namespace']}/{ref['name']}")
    return data


def service_variables(client: Client, pod: Obj) -> dict[str, str]:
    """Docker-links style variables for the Services that existed when the container started."""
    api = client.get("services", "default", "kubernetes")
    linked = (
        client.list("services", pod["metadata"]["namespace"]) if pod["spec"].get("enableServiceLinks", True) else []
    )
    env: dict[str, str] = {}
    for service in [*([api] if api else []), *linked]:
        env |= dict(_links(service))
    return env


def _links(service: Obj) -> Iterable[tuple[str, str]]:
    spec = service["spec"]
    ip, ports = spec.get("clusterIP"), spec.get("ports") or []
    if not ip or ip == "None" or spec.get("type") == "ExternalName" or not ports:
        return
    name = _variable_name(service["metadata"]["name"])
    host = f"[{ip}]" if ":" in ip else ip
    yield f"{name}_SERVICE_HOST", ip
    yield f"{name}_SERVICE_PORT", str(ports[0]["port"])
    for port in ports:
        if port.get("name"):
            yield f"{name}_SERVICE_PORT_{_variable_name(port['name'])}", str(port["port"])
    for index, port in enumerate(ports):
        number, protocol = port["port"], port.get("protocol", "TCP")
        url = f"{protocol.lower()}://{host}:{number}"
        if index == 0:
            yield f"{name}_PORT", url
        prefix = f"{name}_PORT_{number}_{protocol.upper()}"
        yield prefix, url
        yield f"{prefix}_PROTO", protocol.lower()
        yield f"{prefix}_PORT", str(number)
        yield f"{prefix}_ADDR", ip


def _variable_name(name: str) -> str:
    return name.replace("-", "_").upper()
