"""Pages that are about the API server itself: its health checks, and the list of its pages.

k8s.io/apiserver/pkg/server/healthz and routes/index.go. The checks are those of a kube-apiserver; they pass as long as
there is somebody to answer.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson

from kuartui.embedded.api.request import Request, Response, text_response
from kuartui.embedded.api.resources import Resources
from kuartui.embedded.meta import errors

ENDPOINTS = ("healthz", "livez", "readyz")
_HOOKS = (
    "start-apiserver-admission-initializer",
    "generic-apiserver-start-informers",
    "priority-and-fairness-config-consumer",
    "priority-and-fairness-filter",
    "storage-object-count-tracker-hook",
    "start-apiextensions-informers",
    "start-apiextensions-controllers",
    "crd-informer-synced",
    "start-system-namespaces-controller",
    "start-cluster-authentication-info-controller",
    "start-kube-apiserver-identity-lease-controller",
    "start-kube-apiserver-identity-lease-garbage-collector",
    "start-legacy-token-tracking-controller",
    "start-service-ip-repair-controllers",
    "rbac/bootstrap-roles",
    "scheduling/bootstrap-system-priority-classes",
    "priority-and-fairness-config-producer",
    "bootstrap-controller",
    "start-kubernetes-service-cidr-controller",
    "aggregator-reload-proxy-client-cert",
    "start-kube-aggregator-informers",
    "apiservice-status-local-available-controller",
    "apiservice-status-remote-available-controller",
    "apiservice-registration-controller",
    "apiservice-discovery-controller",
    "kube-apiserver-autoregistration",
)
_LAST_HOOKS = ("apiservice-openapi-controller", "apiservice-openapiv3-controller")
_OTHER_PAGES = (
    "/api",
    "/apis",
    "/apis/",
    "/openapi/v2",
    "/openapi/v3",
    "/openapi/v3/",
    "/version",
)


def checks(endpoint: str) -> list[str]:
    """The names of the checks behind /healthz, /livez or /readyz, in their order."""
    ready = endpoint == "readyz"
    return [
        "ping",
        "log",
        "etcd",
        *(["etcd-readiness", "informer-sync"] if ready else []),
        *(f"poststarthook/{hook}" for hook in _HOOKS),
        "autoregister-completion",
        *(f"poststarthook/{hook}" for hook in _LAST_HOOKS),
        *(["shutdown"] if ready else []),
    ]


def answer(request: Request) -> Response | None:
    """The answer to a path below /healthz, /livez or /readyz; None for other paths. Raises 404 for no such check."""
    endpoint, _, name = request.path.strip("/").partition("/")
    if endpoint not in ENDPOINTS:
        return None
    if name:
        if name not in checks(endpoint):
            raise errors.page_not_found()
        return text_response("ok")
    excluded = set(request.query.get("exclude", ()))
    if "verbose" not in request.query:
        return text_response("ok")
    lines = [f"[+]{check} excluded: ok" if check in excluded else f"[+]{check} ok" for check in checks(endpoint)]
    unknown = sorted(excluded - set(checks(endpoint)))
    if unknown:
        shown = ", ".join(f'"{name}"' for name in unknown)
        lines.append(f"warn: some health checks cannot be excluded: no matches for {shown}")
    return text_response("\n".join([*lines, f"{endpoint} check passed", ""]))


def index(resources: Resources, paths: Iterable[str]) -> Response:
    """/: every page that Kubernetes has here; `paths` are further ones."""
    pages = {*_OTHER_PAGES, *paths}
    for group, versions in resources.groups().items():
        pages |= {f"/apis/{group}/{version}" if group else f"/api/{version}" for version in versions}
        pages |= {f"/apis/{group}"} if group else set()
    for endpoint in ENDPOINTS:
        pages |= {f"/{endpoint}", *(f"/{endpoint}/{check}" for check in checks(endpoint))}
    body: Any = {"paths": sorted(pages)}
    return Response(200, orjson.dumps(body, option=orjson.OPT_INDENT_2))
