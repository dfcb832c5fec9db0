"""Which resources the server has: the built-in ones from the wire data, and those that CRDs add while it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from kuartui.embedded import data
from kuartui.embedded.kinds.base import Resource, Strategy, strategy
from kuartui.embedded.meta import schema

Obj = dict[str, Any]

#: resources that show the objects of another one
TWINS = {"events.events.k8s.io": "events"}


class Endpoint(Struct, frozen=True):
    """A resource in one version: what a URL path names."""

    resource: Resource
    version: str
    entry: Obj
    """Its entry in aggregated discovery."""
    node: schema.Node
    own: Strategy | None = None
    """Its strategy, where that is not one of `kinds/`."""
    custom: bool = False

    def __repr__(self) -> str:
        return f"Endpoint({self.resource.name}, {self.version})"

    @property
    def strategy(self) -> Strategy:
        """How its kind behaves. The module that knows is loaded with the first request for the kind."""
        return self.own or strategy(self.resource.name)

    @property
    def api_version(self) -> str:
        return f"{self.resource.group}/{self.version}" if self.resource.group else self.version

    @property
    def kind(self) -> str:
        return self.resource.kind

    @property
    def is_storage(self) -> bool:
        """Whether objects are served just as they are stored; custom ones follow their schema when they are read."""
        return not self.custom and self.version == self.resource.storage and self.resource.stored == self.resource.name

    def subresource(self, name: str) -> Obj | None:
        found: Obj | None = next((s for s in self.entry.get("subresources", ()) if s["subresource"] == name), None)
        return found


class Resources:
    """All endpoints, by group, version and plural."""

    def __init__(self) -> None:
        self._endpoints: dict[tuple[str, str, str], Endpoint] = {}
        self._kept: dict[str, Endpoint] = {}
        self._groups: dict[str, list[str]] = {}
        self._remote: dict[str, list[str]] = {}
        self._discovered: dict[tuple[str, str], tuple[list[dict[str, Any]], bool]] = {}
        self._listeners: list[Callable[[], None]] = []
        versions: dict[tuple[str, str], list[str]] = {}
        for document in data.discovery():
            self._groups.setdefault(document["group"], []).append(document["version"])
            for entry in document["resources"]:
                versions.setdefault((document["group"], entry["resource"]), []).append(document["version"])
        for document in data.discovery():
            for entry in document["resources"]:
                served = versions[document["group"], entry["resource"]]
                self._add(document["group"], document["version"], entry, tuple(served))

    def _add(self, group: str, version: str, entry: Obj, served: tuple[str, ...]) -> None:
        kind = entry["responseKind"]["kind"]
        resource = Resource(
            group=group,
            plural=entry["resource"],
            singular=entry["singularResource"],
            kind=kind,
            namespaced=entry["scope"] == "Namespaced",
            versions=served,
            storage=served[0],
            short_names=tuple(entry.get("shortNames", ())),
            categories=tuple(entry.get("categories", ())),
            verbs=tuple(entry["verbs"]),
            subresources=tuple(s["subresource"] for s in entry.get("subresources", ())),
            list_kind=f"{kind}List",
            stored_as=TWINS.get(f"{entry['resource']}.{group}", ""),
        )
        node = schema.for_kind(group, version, kind) or schema.Node({"type": "object"})
        endpoint = Endpoint(resource, version, entry, node)
        self._endpoints[group, version, entry["resource"]] = endpoint

    def add_custom(self, endpoint: Endpoint) -> None:
        """Serve a CRD's version from now on."""
        group, version = endpoint.resource.group, endpoint.version
        self._endpoints[group, version, endpoint.resource.plural] = replace(endpoint, custom=True)
        versions = self._groups.setdefault(group, [])
        if version not in versions:
            versions.append(version)
        self._changed()

    def keep_custom(self, endpoint: Endpoint) -> None:
        """Know of a CRD's storage version that is not served: its objects are still to be deleted with the CRD."""
        self._kept[endpoint.resource.name] = replace(endpoint, custom=True)

    def remove_custom(self, group: str, plural: str) -> None:
        """Stop serving a CRD's resource."""
        self._kept.pop(f"{plural}.{group}", None)
        for key in [k for k, e in self._endpoints.items() if k[0] == group and k[2] == plural and e.custom]:
            del self._endpoints[key]
        self._groups[group] = [
            v for v in self._groups.get(group, []) if any(k[:2] == (group, v) for k in self._endpoints)
        ]
        if not self._groups[group]:
            del self._groups[group]
        self._changed()

    def drop_group(self, group: str) -> None:
        """Without a whole group, as on a cluster that has no such add-on."""
        for key in [k for k in self._endpoints if k[0] == group]:
            del self._endpoints[key]
        self._groups.pop(group, None)

    def find(self, group: str, version: str, plural: str) -> Endpoint | None:
        return self._endpoints.get((group, version, plural))

    def storage(self, name: str) -> Endpoint:
        """The endpoint in the storage version of a group resource ("deployments.apps"). KeyError if there is none."""
        plural, _, group = name.partition(".")
        for version in self._groups.get(group, ()):
            found = self._endpoints.get((group, version, plural))
            if found and found.resource.storage == version:
                return found
        return self._kept[name]

    def by_kind(self, api_version: str, kind: str) -> Endpoint | None:
        group, _, version = api_version.rpartition("/")
        return next(
            (e for (g, v, _), e in self._endpoints.items() if g == group and v == version and e.kind == kind), None
        )

    def groups(self) -> dict[str, list[str]]:
        """Versions by group, the preferred one first."""
        return self._groups

    def set_remote(self, groups: dict[str, list[str]]) -> None:
        """Which versions, by group, other API servers are said to answer; what is served here stays here."""
        if groups != self._remote:
            self._remote = groups
            self._changed()

    def set_discovered(self, group: str, version: str, entries: list[dict[str, Any]], *, current: bool) -> None:
        """What another API server last said that it has in a group version, and whether it answers now."""
        told = entries, current
        if told != self._discovered.get((group, version)):
            self._discovered[group, version] = told
            self._changed()

    def discovered(self, group: str, version: str) -> tuple[list[dict[str, Any]], bool]:
        """The same; nothing, and not current, if it never said."""
        return self._discovered.get((group, version), ([], False))

    def is_remote(self, group: str, version: str) -> bool:
        """Whether that is another API server's."""
        return version in self._remote.get(group, ()) and version not in self._groups.get(group, ())

    def announced(self) -> dict[str, list[str]]:
        """Versions by group as discovery tells them, other API servers' included."""
        found = {group: list(versions) for group, versions in self._groups.items()}
        for group, versions in self._remote.items():
            found.setdefault(group, []).extend(one for one in versions if self.is_remote(group, one))
        return found

    def __iter__(self) -> Iterator[Endpoint]:
        return iter(self._endpoints.values())

    def of(self, group: str, version: str) -> list[Endpoint]:
        return [e for (g, v, _), e in self._endpoints.items() if g == group and v == version]

    def on_change(self, listener: Callable[[], None]) -> None:
        """Be told when CRDs come and go."""
        self._listeners.append(listener)

    def _changed(self) -> None:
        for listener in self._listeners:
            listener()
