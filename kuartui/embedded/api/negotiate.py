"""Which formats a client sends and wants.

k8s.io/apiserver/pkg/endpoints/handlers/negotiation. Bodies come as JSON, YAML or protobuf; answers go out as JSON or
YAML, as the object itself, as a Table or as its metadata only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

from kuartui.embedded.api.request import JSON, Request, Response
from kuartui.embedded.api.resources import Endpoint
from kuartui.embedded.meta import decode, errors, protobuf
from kuartui.embedded.meta.errors import StatusError, bad_request

Obj = dict[str, Any]

YAML = "application/yaml"
PROTOBUF = "application/vnd.kubernetes.protobuf"
ACCEPTED = (JSON, YAML, PROTOBUF)
MAX_BODY = 3 * 1024 * 1024
_SUMMARY = 30  # bytes of a body that an error shows


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the answer should be."""

    media: str = JSON
    as_: str = ""  # Table, PartialObjectMetadata, PartialObjectMetadataList
    version: str = ""  # of meta.k8s.io
    pretty: bool = False

    @property
    def table(self) -> bool:
        return self.as_ == "Table"

    @property
    def partial(self) -> bool:
        return self.as_.startswith("PartialObjectMetadata")

    @property
    def content_type(self) -> str:
        """The answer's Content-Type."""
        return f"{self.media};as={self.as_};v={self.version};g=meta.k8s.io" if self.as_ else self.media


def wanted(request: Request) -> Wanted:
    """The first thing in Accept that we have. Raises 406."""
    accept = request.headers.get("accept", "")
    agent = request.headers.get("user-agent", "")
    pretty = request.flag("pretty") if "pretty" in request.query else agent.startswith(("curl/", "Wget/", "Mozilla/"))
    if not accept:
        return Wanted(pretty=pretty)
    for clause in accept.split(","):
        media, *raw = (part.strip() for part in clause.split(";"))
        parameters = dict(part.partition("=")[::2] for part in raw)
        if media in ("*/*", "application/*"):
            media = JSON
        if media not in (JSON, YAML):
            continue
        as_ = parameters.get("as", "")
        if not as_:
            return Wanted(media, pretty=pretty or "pretty" in parameters)
        known = as_ in ("Table", "PartialObjectMetadata", "PartialObjectMetadataList")
        if known and parameters.get("g") == "meta.k8s.io" and parameters.get("v") in ("v1", "v1beta1"):
            return Wanted(media, as_, parameters["v"], pretty)
    raise errors.not_acceptable(ACCEPTED)


def respond(request: Request, value: Any, status: int = 200, want: Wanted | None = None) -> Response:
    """An answer of a value in the wanted format."""
    want = want or wanted(request)
    if want.media == YAML:
        return Response(status, to_yaml(value), want.content_type)
    option = orjson.OPT_INDENT_2 if want.pretty else 0
    return Response(status, orjson.dumps(value, option=option), want.content_type)


def to_yaml(value: Any) -> bytes:
    """Keys sorted, as sigs.k8s.io/yaml writes them."""
    import yaml

    dumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    text: str = yaml.dump(value, Dumper=dumper, default_flow_style=False, allow_unicode=True)
    return text.encode()


def media_type(request: Request) -> str:
    """The body's; JSON where a client does not say."""
    return request.headers.get("content-type", "").partition(";")[0].strip() or JSON


def parse_body(request: Request) -> Any:
    """The body as data. Raises 400, 415."""
    media = media_type(request)
    if media == JSON:
        return decode.parse_json(request.body)
    if media == YAML:
        return decode.parse_yaml(request.body)
    if media == PROTOBUF:
        return protobuf.decode(request.body)
    raise errors.unsupported_media_type(
        f"the body of the request was in an unknown format - accepted media types include: {', '.join(ACCEPTED)}"
    )


def options(request: Request, kind: str) -> Obj:
    """DeleteOptions, PodExecOptions and the like from a body; {} without one."""
    if not request.body:
        return {}
    value = parse_body(request)
    if not isinstance(value, dict):
        raise bad_request(f"the object provided is unrecognized (must be of type {kind}): {_summary(request.body)}")
    if value.get("kind", kind) != kind:
        raise bad_request(f"decoded object cannot be converted to {kind}")
    return {key: item for key, item in value.items() if key not in ("apiVersion", "kind")}


def body_object(request: Request, endpoint: Endpoint, api_version: str = "", kind: str = "") -> Obj:
    """The object in a body, canonical, in the endpoint's version. Raises 400 as kube-apiserver words it.

    `api_version` and `kind` name what is expected where that is not the endpoint's own kind (subresources).
    """
    from kuartui.embedded.meta import schema

    expected, wanted_version = kind or endpoint.kind, api_version or endpoint.api_version
    value = parse_body(request)
    if not isinstance(value, dict):
        shown = "array" if isinstance(value, list) else "string" if isinstance(value, str) else "number"
        why = f'couldn\'t get version/kind; json parse error: json: cannot unmarshal {shown} into Go value of type struct {{ APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }}'
        raise bad_request(why)
    got_version, got_kind = value.get("apiVersion") or wanted_version, value.get("kind") or expected
    if not isinstance(got_version, str) or not isinstance(got_kind, str):
        raise bad_request("couldn't get version/kind; json parse error: json: cannot unmarshal into Go struct field")
    if got_kind != expected:
        group, _, version = got_version.rpartition("/")
        if not endpoint.custom and schema.for_kind(group, version, got_kind):
            why = f"converting ({version}.{got_kind}) to (*unversioned.{expected}): unknown conversion"
            raise decode.cannot_handle_as(got_kind, version, expected, why)
        raise unregistered(request, got_kind, got_version, expected)
    if got_version != wanted_version:
        raise bad_request(
            f"the API version in the data ({got_version}) does not match the expected API version ({wanted_version})"
        )
    value["apiVersion"], value["kind"] = got_version, got_kind
    node = endpoint.node
    if kind and kind != endpoint.kind:
        group, _, version = wanted_version.rpartition("/")
        node = schema.for_kind(group, version, kind) or schema.Node({"type": "object"})
    return checked(request, value, node, expected, body=request.body)


def checked(request: Request, value: Obj, node: Any, kind: str, body: bytes = b"") -> Obj:
    """Decode as Go would, and handle unknown and duplicate fields as fieldValidation asks."""
    version = str(value.get("apiVersion", "")).rpartition("/")[2]
    decoder = decode.Decoder()
    try:
        result: Obj = decoder.decode(value, node, kind)
    except decode.DecodeError as error:
        raise decode.cannot_handle(kind, version, str(error)) from error
    complaints = complaints_of(decoder, body if media_type(request) == JSON else b"")
    if complaints:
        mode = validation_mode(request)
        if mode == "Strict":
            raise decode.cannot_handle(kind, version, f"strict decoding error: {', '.join(complaints)}")
        if mode == "Warn":
            request.warnings += complaints
    return result


def complaints_of(decoder: decode.Decoder, body: bytes) -> list[str]:
    """What strict decoding says."""
    twice = decode.duplicates(body) if body and b'"' in body else []
    return [f'duplicate field "{path}"' for path in twice] + [f'unknown field "{path}"' for path in decoder.unknown]


def validation_mode(request: Request) -> str:
    """Strict, Warn (the default) or Ignore."""
    return request.param("fieldValidation") or "Warn"


def unregistered(request: Request, kind: str, api_version: str, expected: str) -> StatusError:
    """A kind that nobody knows."""
    why = f'no kind "{kind}" is registered for version "{api_version}" in scheme "pkg/api/legacyscheme/scheme.go:30"'
    return decode.cannot_handle_as(kind, api_version.rpartition("/")[2], expected, why)


def _summary(body: bytes) -> str:
    shown = body[:_SUMMARY].decode(errors="replace")
    return shown + (" ..." if len(body) > _SUMMARY else "")
