"""OpenAPI v3, as far as clients need it: kubectl explain, apply, diff, edit; version 2 is made from it.

Documents are built when first asked for and kept as bytes. Descriptions are the API's own, shipped as data.
"""

from __future__ import annotations

import hashlib
from typing import Any

import orjson

from kuartui.embedded import data
from kuartui.embedded.api import descriptions, openapi_v2, openapi_v2_protobuf
from kuartui.embedded.api.request import JSON, Request, Response
from kuartui.embedded.api.resources import Endpoint, Resources
from kuartui.embedded.meta.errors import page_not_found

Obj = dict[str, Any]

PATCH_TYPES = (
    "application/apply-patch+yaml",
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
)
_BUILT_IN: dict[str, bytes] = {}
"""Documents, by group version, of what is the same on every cluster."""
INFO = {"title": "Kubernetes", "version": "v1.36.2"}


def _parameters(*names: str) -> list[Obj]:
    return [
        {
            "name": name,
            "in": "query",
            "description": descriptions.PARAMETERS[name][1],
            "schema": {"type": descriptions.PARAMETERS[name][0], "uniqueItems": True},
        }
        for name in names
    ]


_WRITE = _parameters("dryRun", "fieldManager", "fieldValidation", "pretty")
_LIST = _parameters(
    "allowWatchBookmarks",
    "continue",
    "fieldSelector",
    "labelSelector",
    "limit",
    "pretty",
    "resourceVersion",
    "resourceVersionMatch",
    "sendInitialEvents",
    "timeoutSeconds",
    "watch",
)
_DELETE = _parameters("dryRun", "gracePeriodSeconds", "orphanDependents", "pretty", "propagationPolicy")


class OpenApi:
    """Answers below /openapi."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._documents: dict[str, bytes] = {}
        resources.on_change(self._documents.clear)

    def answer(self, request: Request) -> Response:
        """Raises 404."""
        parts = request.path.strip("/").split("/")
        if parts == ["openapi", "v2"]:
            in_protobuf = "proto" in request.headers.get("accept", "")
            return Response(200, self._version_2(in_protobuf), openapi_v2_protobuf.MEDIA_TYPE if in_protobuf else JSON)
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
        kept = self._documents if any(e.custom for e in self._resources.of(group, version)) else _BUILT_IN
        if key not in kept:
            kept[key] = orjson.dumps(self._build(group, version))
        return kept[key]

    def _version_2(self, in_protobuf: bool) -> bytes:
        key = "v2 in protobuf" if in_protobuf else "v2"
        if key not in self._documents:
            groups = self._resources.groups().items()
            built = (self._build(group, version) for group, versions in groups for version in versions)
            document = openapi_v2.document(INFO, built)
            self._documents[key] = openapi_v2_protobuf.encode(document) if in_protobuf else orjson.dumps(document)
        return self._documents[key]

    def _build(self, group: str, version: str) -> Obj:
        components: Obj = {}
        paths: Obj = {}
        for name in ("Status", "DeleteOptions", "Patch"):
            _add(f"io.k8s.apimachinery.pkg.apis.meta.v1.{name}", components)
        for endpoint in self._resources.of(group, version):
            name = _component(endpoint, components)
            paths.update(_paths(endpoint, name, _collection(endpoint, name, components)))
        return {
            "openapi": "3.0.0",
            "info": INFO,
            "paths": paths,
            "components": {"schemas": components},
        }


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


def _collection(endpoint: Endpoint, component: str, components: Obj) -> str:
    """The name of the schema of lists of the component, added unless the API has one of its own."""
    name = f"{component}List"
    if not endpoint.custom and name in data.schemas():
        _add(name, components)
    elif "list" in endpoint.entry["verbs"]:
        meta = "io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta"
        _add(meta, components)
        resource = endpoint.resource
        gvk = {"group": resource.group, "version": endpoint.version, "kind": resource.list_kind}
        about = f"List of {resource.plural}. More info: {descriptions.CONVENTIONS}"
        components[name] = {
            "description": f"{resource.list_kind} is a list of {endpoint.kind}",
            "type": "object",
            "required": ["items"],
            "properties": {
                "apiVersion": {"type": "string", "description": descriptions.API_VERSION},
                "items": {"description": about, "type": "array", **_items(component)},
                "kind": {"type": "string", "description": descriptions.KIND},
                "metadata": {"allOf": [{"$ref": f"#/components/schemas/{meta}"}], "description": descriptions.METADATA},
            },
            "x-kubernetes-group-version-kind": [gvk],
        }
    return name


def _items(component: str) -> Obj:
    return {"items": {"$ref": f"#/components/schemas/{component}"}}


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


def _paths(endpoint: Endpoint, component: str, collection_name: str) -> Obj:
    resource = endpoint.resource
    root = f"/apis/{resource.group}/{endpoint.version}" if resource.group else f"/api/{endpoint.version}"
    scope = "/namespaces/{namespace}" if resource.namespaced else ""
    collection, item = f"{root}{scope}/{resource.plural}", f"{root}{scope}/{resource.plural}/{{name}}"
    gvk = {"group": resource.group, "version": endpoint.version, "kind": endpoint.kind}
    body = _content(component)

    def operation(action: str, about: str, parameters: list[Obj], content: Obj | None = None, what: Obj = body) -> Obj:
        result: Obj = {
            "description": about,
            "parameters": parameters,
            "responses": {"200": {"description": "OK", "content": {"application/json": what}}},
            "x-kubernetes-action": action,
            "x-kubernetes-group-version-kind": gvk,
        }
        if content is not None:
            result["requestBody"] = {"content": content, "required": True}
        return result

    verbs = set(endpoint.entry["verbs"])
    status = _content("io.k8s.apimachinery.pkg.apis.meta.v1.Status")
    options = {"*/*": _content("io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions")}
    found: Obj = {}
    if "list" in verbs:
        listed = _content(collection_name)
        about = f"list or watch objects of kind {endpoint.kind}"
        found.setdefault(collection, {})["get"] = operation("list", about, _LIST, what=listed)
        if resource.namespaced:
            found[f"{root}/{resource.plural}"] = {"get": operation("list", about, _LIST, what=listed)}
    if "create" in verbs:
        found.setdefault(collection, {})["post"] = operation("post", f"create a {endpoint.kind}", _WRITE, {"*/*": body})
    if "deletecollection" in verbs:
        about = f"delete collection of {endpoint.kind}"
        selecting = _LIST + [one for one in _DELETE if one["name"] != "pretty"]
        found[collection]["delete"] = operation("deletecollection", about, selecting, options, status)
    about = f"the specified {endpoint.kind}"
    if "get" in verbs:
        found.setdefault(item, {})["get"] = operation("get", f"read {about}", _parameters("pretty"))
    if "update" in verbs:
        found.setdefault(item, {})["put"] = operation("put", f"replace {about}", _WRITE, {"*/*": body})
    if "patch" in verbs:
        kinds = PATCH_TYPES if not endpoint.custom else PATCH_TYPES[:3]
        parts = {kind: _content("io.k8s.apimachinery.pkg.apis.meta.v1.Patch") for kind in kinds}
        patching = _WRITE + _parameters("force")
        found.setdefault(item, {})["patch"] = operation("patch", f"partially update {about}", patching, parts)
    if "delete" in verbs:
        found.setdefault(item, {})["delete"] = operation(
            "delete", f"delete a {endpoint.kind}", _DELETE, options, status
        )
    for path, operations in found.items():
        named = [name for name in ("namespace", "name") if f"{{{name}}}" in path]
        operations["parameters"] = [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string", "uniqueItems": True}}
            for name in named
        ]
    return found


def _content(component: str) -> Obj:
    return {"schema": {"$ref": f"#/components/schemas/{component}"}}
