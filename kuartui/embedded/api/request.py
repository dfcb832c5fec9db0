"""The seam between HTTP and the API: requests, responses, and what a path means.

k8s.io/apiserver/pkg/endpoints/request/requestinfo.go.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import parse_qs, unquote

import orjson
from msgspec import Struct, field

Obj = dict[str, Any]

JSON = "application/json"
YAML = "application/yaml"
PROTOBUF = "application/vnd.kubernetes.protobuf"
SPECIAL_VERBS = ("proxy", "watch")
_VERBS = {"POST": "create", "GET": "get", "HEAD": "get", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


class User(Struct, frozen=True):
    """Who asks."""

    name: str
    groups: tuple[str, ...] = ()
    uid: str = ""
    extra: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


ANONYMOUS = User("system:anonymous", ("system:unauthenticated",))
SYSTEM = User("system:apiserver", ("system:masters", "system:authenticated"))


FINGERPRINT = "sha256"
"""Key in a request's certificate: the fingerprint in hex, next to what `ssl.SSLObject.getpeercert` tells."""
SEVERAL = "\n"
"""Between the values of an impersonation header that was sent several times; no value has it."""


class Info(Struct, frozen=True):
    """What a request is about. Without a resource it is about `path` itself (/healthz, /version)."""

    verb: str
    path: str
    group: str = ""
    version: str = ""
    namespace: str = ""
    resource: str = ""
    subresource: str = ""
    name: str = ""
    parts: tuple[str, ...] = ()
    """The path after the name and subresource, for proxies."""

    @property
    def is_resource(self) -> bool:
        return bool(self.resource)


class Request(Struct):
    method: str
    path: str
    query: dict[str, list[str]]
    headers: Mapping[str, str]
    body: bytes = b""
    raw_query: str = ""
    certificate: Mapping[str, Any] | None = None
    """The client's, verified by TLS: what `ssl.SSLObject.getpeercert` tells, and its FINGERPRINT."""
    user: User = ANONYMOUS
    caller: User = ANONYMOUS
    """Who sent it, whomever they act for."""
    info: Info = field(default_factory=lambda: Info("", ""))
    warnings: list[str] = field(default_factory=list)

    def param(self, name: str, default: str = "") -> str:
        found = self.query.get(name)
        return found[0] if found else default

    def flag(self, name: str) -> bool:
        """A boolean parameter as Go's strconv reads it; present without a value counts as true."""
        found = self.query.get(name)
        return found is not None and found[0] not in ("0", "false", "False", "FALSE", "f", "F")


class Response(Struct):
    """`stream`, if given, is sent chunk by chunk instead of `body`."""

    status: int = 200
    body: bytes = b""
    content_type: str = JSON
    headers: list[tuple[str, str]] = field(default_factory=list)
    stream: AsyncIterator[bytes] | None = None


def json_response(value: Any, status: int = 200, content_type: str = JSON) -> Response:
    return Response(status, orjson.dumps(value), content_type)


def text_response(text: str, status: int = 200) -> Response:
    return Response(status, text.encode(), "text/plain; charset=utf-8")


def parse_query(raw: str) -> dict[str, list[str]]:
    return parse_qs(raw, keep_blank_values=True)


def parse_info(method: str, path: str, query: Mapping[str, list[str]]) -> Info:
    """What `path` means."""
    parts = [unquote(part) for part in path.strip("/").split("/")]
    if parts[0] == "api" and len(parts) >= 3:
        group, version, rest = "", parts[1], parts[2:]
    elif parts[0] == "apis" and len(parts) >= 4:
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        return Info(method.lower(), path)
    verb = _VERBS.get(method, "")
    namespace = ""
    if rest[0] == "watch" and len(rest) > 1:  # the old form /api/v1/watch/pods
        verb, rest = "watch", rest[1:]
    if rest[0] == "namespaces" and len(rest) > 2 and rest[2] not in ("status", "finalize"):
        namespace, rest = rest[1], rest[2:]
    elif rest[0] == "namespaces" and len(rest) > 1:
        namespace = rest[1]
    resource, name = rest[0], rest[1] if len(rest) > 1 else ""
    subresource = rest[2] if len(rest) > 2 else ""
    watching = query.get("watch", ["false"])[0] not in ("false", "0", "False")  # ?watch without a value counts
    if verb == "get" and not name:
        verb = "watch" if watching else "list"
    elif verb == "get" and watching and not subresource:
        verb = "watch"
    elif verb == "delete" and not name:
        verb = "deletecollection"
    return Info(verb, path, group, version, namespace, resource, subresource, name, tuple(rest[3:]))
