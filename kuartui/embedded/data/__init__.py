"""Wire facts of Kubernetes v1.36 as package data (README.md beside this file). Each is read when first used."""

from __future__ import annotations

import functools
import gzip
from pathlib import Path
from typing import Any

import orjson

HERE = Path(__file__).parent


def _load(name: str) -> Any:
    return orjson.loads((HERE / f"{name}.json").read_bytes())


@functools.cache
def schemas() -> dict[str, Any]:
    """OpenAPI v3 component schemas by definition name ("io.k8s.api.core.v1.Pod")."""
    found: dict[str, Any] = _load("schema")
    return found


@functools.cache
def discovery() -> list[dict[str, Any]]:
    """Group versions with their resources, preferred versions first within a group."""
    found: list[dict[str, Any]] = _load("discovery")
    return found


@functools.cache
def tables() -> dict[str, list[dict[str, Any]]]:
    """Printer columns by "group/version/plural"."""
    found: dict[str, list[dict[str, Any]]] = _load("tables")
    return found


@functools.cache
def protobuf() -> dict[str, dict[str, dict[str, Any]]]:
    """Fields by message name, then by field name."""
    found: dict[str, dict[str, dict[str, Any]]] = _load("protobuf")
    return found


@functools.cache
def bootstrap() -> dict[str, list[dict[str, Any]]]:
    """Objects that a new cluster has, by plural, as they are stored; uid, resourceVersion and times are empty."""
    found: dict[str, list[dict[str, Any]]] = _load("bootstrap")
    return found


@functools.cache
def flow_control() -> dict[str, list[dict[str, Any]]]:
    """Name and spec of the mandatory and suggested FlowSchemas and PriorityLevelConfigurations, by plural."""
    found: dict[str, list[dict[str, Any]]] = _load("flowcontrol")
    return found


@functools.cache
def gateway() -> dict[str, Any]:
    """The Gateway API: group, annotations, and per resource what its CRD says."""
    found: dict[str, Any] = _load("gateway")
    return found


@functools.cache
def descriptions() -> dict[str, dict[str, Any]]:
    """Documentation by definition name: {"about": text, "fields": {name: text}}."""
    found: dict[str, dict[str, Any]] = orjson.loads(gzip.decompress((HERE / "descriptions.json.gz").read_bytes()))
    return found


@functools.cache
def enums() -> dict[str, dict[str, str]]:
    """What each value of a field means, by "definition.field"."""
    return {field: group["values"] for group in _load("enums") for field in group["fields"]}


@functools.cache
def definitions() -> dict[tuple[str, str, str], str]:
    """Definition name by (group, version, kind)."""
    return {
        (gvk["group"], gvk["version"], gvk["kind"]): name
        for name, schema in schemas().items()
        for gvk in schema.get("x-kubernetes-group-version-kind", ())
    }


def message_name(definition: str) -> str:
    """The protobuf message of an OpenAPI definition: io.k8s.api.core.v1.Pod -> k8s.io.api.core.v1.Pod."""
    return "k8s.io." + definition.removeprefix("io.k8s.").replace("-", "_")  # apiextensions-apiserver
