"""What the server serves, told in three dialects: aggregated, classic groups, classic resource lists.

https://kubernetes.io/docs/concepts/overview/kubernetes-api/#discovery-api
"""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import orjson

from kuartui.embedded.api.request import Request, Response
from kuartui.embedded.api.resources import Endpoint, Resources

Obj = dict[str, Any]

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
VERSION = {
    "major": "1",
    "minor": "36",
    "gitVersion": "v1.36.2",
    "gitCommit": "",
    "gitTreeState": "clean",
    "buildDate": "2026-05-12T00:00:00Z",
    "goVersion": "go1.26.2",
    "compiler": "gc",
    "platform": "linux/amd64",
    "emulationMajor": "1",
    "emulationMinor": "36",
    "minCompatibilityMajor": "1",
    "minCompatibilityMinor": "35",
}


class Discovery:
    """Answers, serialised once and again only when CRDs change."""

    def __init__(self, resources: Resources, address: str) -> None:
        self._resources = resources
        self.address = address
        self._cache: dict[str, bytes] = {}
        resources.on_change(self._cache.clear)

    def answer(self, request: Request) -> Response | None:
        """The answer to a discovery path; None if it is not one."""
        parts = request.path.strip("/").split("/")
        aggregated = _wants_aggregated(request.headers.get("accept", ""))
        match parts:
            case ["api"]:
                return self._aggregated(core=True) if aggregated else self._json("api", self._api)
            case ["apis"]:
                return self._aggregated(core=False) if aggregated else self._json("apis", self._groups)
            case ["api", "v1"]:
                return self._json("api/v1", lambda: self._list("", "v1"))
            case ["apis", group] if group in self._resources.announced() and group:
                return self._json(
                    f"apis/{group}", lambda: {"kind": "APIGroup", "apiVersion": "v1", **self._group(group)}
                )
            case ["apis", group, version] if version in self._resources.groups().get(group, ()):
                return self._json(f"apis/{group}/{version}", lambda: self._list(group, version))
        return None

    def _json(self, key: str, make: Any) -> Response:
        if key not in self._cache:
            self._cache[key] = orjson.dumps(make())
        return Response(200, self._cache[key])

    def _aggregated(self, core: bool) -> Response:
        key = f"aggregated-{core}"
        if key not in self._cache:
            groups = [g for g in self._resources.announced() if (g == "") == core]
            items = [self._aggregated_group(group) for group in groups]
            document = {
                "kind": "APIGroupDiscoveryList",
                "apiVersion": "apidiscovery.k8s.io/v2",
                "metadata": {},
                "items": items,
            }
            self._cache[key] = orjson.dumps(document)
        return Response(200, self._cache[key], AGGREGATED)

    def _aggregated_group(self, group: str) -> Obj:
        versions = [
            self._of_another(group, version)
            if self._resources.is_remote(group, version)
            else {
                "version": version,
                "resources": [self._aggregated_resource(e) for e in self._resources.of(group, version)],
                "freshness": "Current",
            }
            for version in self._resources.announced()[group]
        ]
        return {
            "metadata": {"name": group, "creationTimestamp": None} if group else {"creationTimestamp": None},
            "versions": versions,
        }

    def _of_another(self, group: str, version: str) -> Obj:
        """A version that another API server answers."""
        entries, current = self._resources.discovered(group, version)
        found = {"resources": entries} if entries else {}
        return {"version": version, **found, "freshness": "Current" if current else "Stale"}

    def _aggregated_resource(self, endpoint: Endpoint) -> Obj:
        def kind_of(response: Obj) -> Obj:
            own = {"group": endpoint.resource.group, "version": endpoint.version}
            return {key: response.get(key) or own.get(key, "") for key in ("group", "version", "kind")}

        entry = {**endpoint.entry, "responseKind": kind_of(endpoint.entry["responseKind"])}
        if "subresources" in entry:
            entry["subresources"] = [
                {**sub, "responseKind": kind_of(sub["responseKind"])} for sub in entry["subresources"]
            ]
        return entry

    def _api(self) -> Obj:
        addresses = [{"clientCIDR": "0.0.0.0/0", "serverAddress": self.address}]
        return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": addresses}

    def _groups(self) -> Obj:
        groups = [self._group(group) for group in self._resources.announced() if group]
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}

    def _group(self, group: str) -> Obj:
        versions = [
            {"groupVersion": f"{group}/{version}", "version": version} for version in self._resources.announced()[group]
        ]
        return {"name": group, "versions": versions, "preferredVersion": versions[0]}

    def _list(self, group: str, version: str) -> Obj:
        found: list[Obj] = []
        for endpoint in self._resources.of(group, version):
            found.append(_classic(endpoint))
            found += [_classic_sub(endpoint, sub) for sub in endpoint.entry.get("subresources", ())]
        group_version = f"{group}/{version}" if group else version
        return {
            "kind": "APIResourceList",
            **({"apiVersion": "v1"} if group else {}),
            "groupVersion": group_version,
            "resources": sorted(found, key=lambda r: str(r["name"])),
        }


def _wants_aggregated(accept: str) -> bool:
    """v2 only: v2beta1, which kubectl before 1.30 knows, is gone from the API."""
    for clause in accept.split(","):
        parameters = {part.strip() for part in clause.split(";")[1:]}
        if {"v=v2", "as=APIGroupDiscoveryList"} <= parameters:
            return True
    return False


def _classic(endpoint: Endpoint) -> Obj:
    resource = endpoint.resource
    found: Obj = {
        "name": resource.plural,
        "singularName": resource.singular,
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": list(endpoint.entry["verbs"]),
    }
    if resource.short_names:
        found["shortNames"] = list(resource.short_names)
    if resource.categories:
        found["categories"] = list(resource.categories)
    if "update" in resource.verbs:
        found["storageVersionHash"] = _storage_version_hash(endpoint)
    return found


def _storage_version_hash(endpoint: Endpoint) -> str:
    """Tells migrators that objects are stored in another version: k8s.io/apiserver/pkg/endpoints/discovery."""
    resource = endpoint.resource
    group = resource.stored.partition(".")[2]
    kind = f"{group}/{resource.storage}/{resource.kind}"
    return base64.b64encode(hashlib.sha256(kind.encode()).digest()[:8]).decode()


def _classic_sub(endpoint: Endpoint, sub: Obj) -> Obj:
    response = sub["responseKind"]
    found: Obj = {
        "name": f"{endpoint.resource.plural}/{sub['subresource']}",
        "singularName": "",
        "namespaced": endpoint.resource.namespaced,
    }
    if response.get("group"):
        found["group"], found["version"] = response["group"], response["version"]
    return {**found, "kind": response["kind"], "verbs": list(sub["verbs"])}
