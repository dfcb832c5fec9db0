"""What the API server tells of itself at /metrics, in Prometheus' text format.

A few of kube-apiserver's stable series (https://kubernetes.io/docs/reference/instrumentation/metrics/): requests by verb,
resource and code, and how many objects are stored.
"""

from __future__ import annotations

from collections import Counter

from kuartui.embedded.api.discovery import VERSION
from kuartui.embedded.api.request import Info, Request, Response
from kuartui.embedded.store import Store

_VERBS = {"create": "POST", "update": "PUT"}
_STORED = (
    "Number of stored objects at the time of last check split by kind."
    " In case of a fetching error, the value will be -1."
)


class Measures:
    """Counts requests, and answers /metrics."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._requests: Counter[tuple[str, ...]] = Counter()

    def count(self, info: Info, dry_run: bool, code: int) -> None:
        """A request that was answered with `code`."""
        scope = "resource" if info.name else "namespace" if info.namespace else "cluster"
        verb = _VERBS.get(info.verb, info.verb.upper())
        where = (info.group, info.resource, scope if info.is_resource else "", info.subresource)
        self._requests[(str(code), "All" if dry_run else "", *where, verb, info.version)] += 1

    async def page(self, _: Request) -> Response:
        names = ("code", "dry_run", "group", "resource", "scope", "subresource", "verb", "version")
        requests = [(dict(zip(names, key, strict=True)), number) for key, number in sorted(self._requests.items())]
        build = {"git_version": VERSION["gitVersion"], "major": VERSION["major"], "minor": VERSION["minor"]}
        stored = [({"resource": name}, self._store.count(name)) for name in sorted(self._store.resources())]
        text = [
            *_series("apiserver_request_total", "counter", _REQUESTS, requests),
            *_series("apiserver_storage_objects", "gauge", _STORED, stored),
            *_series("kubernetes_build_info", "gauge", _BUILD, [(build, 1)]),
        ]
        return Response(200, "\n".join([*text, ""]).encode(), "text/plain; version=0.0.4; charset=utf-8")


_REQUESTS = (
    "Counter of apiserver requests broken out for each verb, dry run value, group, version, resource, scope, component,"
    " and HTTP response code."
)
_BUILD = "A metric with a constant '1' value labeled by major, minor and git version."


def _series(name: str, kind: str, text: str, samples: list[tuple[dict[str, str], int]]) -> list[str]:
    lines = [f"# HELP {name} [STABLE] {text}", f"# TYPE {name} {kind}"]
    for labels, value in samples:
        shown = ",".join(f'{key}="{label}"' for key, label in labels.items())
        lines.append(f"{name}{{{shown}}} {value}")
    return lines
