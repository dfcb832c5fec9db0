"""Warnings of files in one volume that are in each other's way (pkg/api/pod: warningsForOverlappingVirtualPaths)."""

from __future__ import annotations

from typing import Any

from kuartui.embedded.meta.fielderr import quote

Obj = dict[str, Any]


def warnings(volumes: list[Obj]) -> list[str]:
    """On ConfigMaps, Secrets, the downward API and what is projected."""
    found = []
    for volume in volumes:
        name = f"volume {quote(volume.get('name', ''))}"
        for kind, shown, of in (("configMap", "ConfigMap", "name"), ("secret", "Secret", "secretName")):
            source = volume.get(kind) or {}
            if source.get("items") is not None:
                found += _overlaps(_paths(source), f"{name} ({shown} {quote(source.get(of, ''))})")
        downward = volume.get("downwardAPI") or {}
        if downward.get("items") is not None:
            found += _overlaps(_paths(downward), f"{name} (DownwardAPI)")
        if volume.get("projected") is not None:
            found += _projected(volume["projected"].get("sources") or [], name)
    return found


def _projected(sources: list[Obj], name: str) -> list[str]:
    """A source without items is taken for the one before it: so it is in Kubernetes."""
    found: list[str] = []
    paths: list[str] = []
    before: set[str] = set()
    what = ""
    for source in sources:
        if not source:
            found.append(f"{name} (Projected) has no sources provided")
            continue
        said = _source(source)
        if said is not None:
            paths, kind = said
            what = f"{name} (Projected {kind})"
        if not paths:
            continue
        found += _overlaps(paths, what)
        found += _overlaps(sorted([*set(paths), *before]), what)
        before |= set(paths)
    return found


def _source(source: Obj) -> tuple[list[str], str] | None:
    for kind, shown in (("configMap", "ConfigMap"), ("secret", "Secret")):
        part = source.get(kind) or {}
        if part.get("items") is not None:
            return _paths(part), f"{shown} {quote(part.get('name', ''))}"
    if (source.get("downwardAPI") or {}).get("items") is not None:
        return _paths(source["downwardAPI"]), "DownwardAPI"
    if source.get("serviceAccountToken") is not None:
        return [source["serviceAccountToken"].get("path", "")], "ServiceAccountToken"
    bundle = source.get("clusterTrustBundle")
    if bundle is not None:
        return [
            bundle.get("path", "")
        ], f"ClusterTrustBundle {quote(bundle.get('name') or bundle.get('signerName') or '')}"
    return None


def _paths(source: Obj) -> list[str]:
    return [item.get("path", "") for item in source["items"]]


def _overlaps(paths: list[str], what: str) -> list[str]:
    found = []
    seen: list[str] = []
    for path in (one.rstrip("/") for one in paths):
        other = next((one for one in seen if _overlap(one, path)), None)
        if other:
            found.append(f"{what}: overlapping paths: {quote(path)} with {quote(other)}")
        if path not in seen:
            seen.append(path)
    return found


def _overlap(one: str, other: str) -> bool:
    return bool(one and other) and (f"{one}/".startswith(other) or f"{other}/".startswith(one))
