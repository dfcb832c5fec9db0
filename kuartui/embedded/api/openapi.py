"""OpenAPI v3, as far as clients need it: kubectl explain, apply, diff, edit.

Documents are built when first asked for and kept as bytes. Descriptions are the API's own, shipped as data.
"""

from __future__ import annotations

import hashlib
from typing import Any

import orjson

from kuartui.embedded import data
from kuartui.embedded.api import descriptions
from kuartui.embedded.api.request import Request, Response
from kuartui.embedded.api.resources import Endpoint, Resources
from kuartui.embedded.meta.errors import page_not_found

Obj = dict[str, Any]

PATCH_TYPES = (
    "application/apply-patch+yaml",
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
)
V2_PROTOBUF = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
_PARAMETERS = [
    {"name": name, "in": "query", "schema": {"type": "string", "uniqueItems": True}}
    for name in ("dryRun", "fieldManager", "fieldValidation", "pretty")
]


class OpenApi:
    """Answers below /openapi."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._documents: dict[str, bytes] = {}
        resources.on_change(self._documents.clear)

    def answer(self, request: Request) -> Response:
        """Raises 404. Version 2 is there, and empty: kubectl asks it for kinds that version 3 does not have."""
        parts = request.path.strip("/").split("/")
        if parts == ["openapi", "v2"]:
            return _empty_v2(request)
        if parts[:2] != ["openapi", "v3"]:
            raise page_not_found()
        if len(parts) == 2:
            return Response(200, orjson.dumps({"paths": self._index()}))
        group, version = ("", parts[3]) if parts[2] == "api" and len(parts) == 4 else ("", "")
        if parts[2] == "apis" and len(parts) == 5:
            group, version = parts[3], parts[4]
        if version not in self._resources.groups().get(group, ()):
            raise page_not_found()
        headers = [("Cache-Control", "public, immutable")] if request.param("hash") else []
        return Response(200, self._document(group, version), headers=headers)

    def _index(self) -> Obj:
        paths: Obj = {}
        for group, versions in self._resources.groups().items():
            for version in versions:
                path = f"apis/{group}/{version}" if group else f"api/{version}"
                names = sorted(e.resource.plural for e in self._resources.of(group, version))
                custom = [orjson.dumps(e.node.raw) for e in self._resources.of(group, version) if e.custom]
                digest = hashlib.sha256(repr((path, names)).encode() + b"".join(custom)).hexdigest().upper()
                paths[path] = {"serverRelativeURL": f"/openapi/v3/{path}?hash={digest}"}
        return paths

    def _document(self, group: str, version: str) -> bytes:
        key = f"{group}/{version}"
        if key not in self._documents:
            self._documents[key] = orjson.dumps(self._build(group, version))
        return self._documents[key]

    def _build(self, group: str, version: str) -> Obj:
        components: Obj = {}
        paths: Obj = {}
        for endpoint in self._resources.of(group, version):
            name = _component(endpoint, components)
            paths.update(_paths(endpoint, name))
        return {
            "openapi": "3.0.0",
            "info": {"title": "Kubernetes", "version": "v1.36.2"},
            "paths": paths,
            "components": {"schemas": components},
        }


def _empty_v2(request: Request) -> Response:
    info = {"title": "Kubernetes", "version": "v1.36.2"}
    if "proto" not in request.headers.get("accept", ""):
        return Response(200, orjson.dumps({"swagger": "2.0", "info": info, "paths": {}, "definitions": {}}))
    inner = b"".join(_text(number, text) for number, text in enumerate(info.values(), 1))
    # openapi.v2.Document {swagger = 1, info = 2 {title = 1, version = 2}}
    return Response(200, _text(1, "2.0") + b"\x12" + bytes((len(inner),)) + inner, V2_PROTOBUF)


def _text(number: int, text: str) -> bytes:
    """A short string field in protobuf."""
    return bytes((number << 3 | 2, len(text))) + text.encode()


def _component(endpoint: Endpoint, components: Obj) -> str:
    """Add the endpoint's schema and all that it needs; give its name."""
    if not endpoint.custom:
        name = endpoint.node.name
        _add(name, components)
        return name
    group = ".".join(reversed(endpoint.resource.group.split(".")))
    name = f"{group}.{endpoint.version}.{endpoint.kind}"
    gvk = {"group": endpoint.resource.group, "version": endpoint.version, "kind": endpoint.kind}
    schema = {**endpoint.node.raw, "x-kubernetes-group-version-kind": [gvk]}
    meta = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
    common = descriptions.of(meta)
    standard = {
        "apiVersion": {"type": "string", "description": descriptions.API_VERSION},
        "kind": {"type": "string", "description": descriptions.KIND},
        "metadata": {"allOf": [{"$ref": f"#/components/schemas/{meta}"}], "description": descriptions.METADATA},
    }
    schema["properties"] = {**schema.get("properties", {}), **standard}
    components[name] = schema
    if common is not None:
        _add(meta, components)
    return name


def _add(name: str, components: Obj) -> None:
    if not name or name in components or name not in data.schemas():
        return
    schema = data.schemas()[name]
    texts = descriptions.of(name)
    components[name] = {}
    result: Obj = orjson.loads(orjson.dumps(schema).replace(b'"$ref":"', b'"$ref":"#/components/schemas/'))
    if texts.about:
        result["description"] = texts.about
    for field, inside in result.get("properties", {}).items():
        text = descriptions.with_values(name, field, texts.fields.get(field, ""), inside)
        if text:
            inside["description"] = text
    components[name] = result
    for needed in _references(schema):
        _add(needed, components)


def _references(value: Any) -> list[str]:
    if isinstance(value, dict):
        found = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
        for inside in value.values():
            found += _references(inside)
        return found
    if isinstance(value, list):
        return [name for inside in value for name in _references(inside)]
    return []


def _paths(endpoint: Endpoint, component: str) -> Obj:
    resource = endpoint.resource
    root = f"/apis/{resource.group}/{endpoint.version}" if resource.group else f"/api/{endpoint.version}"
    scope = "/namespaces/{namespace}" if resource.namespaced else ""
    collection, item = f"{root}{scope}/{resource.plural}", f"{root}{scope}/{resource.plural}/{{name}}"
    gvk = {"group": resource.group, "version": endpoint.version, "kind": endpoint.kind}
    body = {"schema": {"$ref": f"#/components/schemas/{component}"}}
    answer = {"200": {"description": "OK", "content": {"application/json": body}}}

    def operation(action: str, content: Obj | None = None) -> Obj:
        result: Obj = {"responses": answer, "x-kubernetes-action": action, "x-kubernetes-group-version-kind": gvk}
        if content is not None:
            result["parameters"] = _PARAMETERS
            result["requestBody"] = {"content": content, "required": True}
        return result

    verbs = set(endpoint.entry["verbs"])
    found: Obj = {}
    if "list" in verbs:
        found.setdefault(collection, {})["get"] = operation("list")
    if "create" in verbs:
        found.setdefault(collection, {})["post"] = operation("post", {"*/*": body})
    if "get" in verbs:
        found.setdefault(item, {})["get"] = operation("get")
    if "update" in verbs:
        found.setdefault(item, {})["put"] = operation("put", {"*/*": body})
    if "patch" in verbs:
        kinds = PATCH_TYPES if not endpoint.custom else PATCH_TYPES[:3]
        found.setdefault(item, {})["patch"] = operation("patch", {kind: {"schema": {}} for kind in kinds})
    if "delete" in verbs:
        found.setdefault(item, {})["delete"] = operation("delete", {"*/*": {"schema": {}}})
    return found
