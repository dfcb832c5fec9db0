"""Request bodies to objects: content types, strict decoding, patches."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import orjson

from kuartui.embedded.api import objects, options
from kuartui.embedded.api.request import JSON, PROTOBUF, YAML, Info, Request
from kuartui.embedded.api.resources import Endpoint
from kuartui.embedded.api.rest import Rest, Write, ownership
from kuartui.embedded.crd import structural
from kuartui.embedded.meta import (
    apply,
    decode,
    errors,
    fielderr,
    go_types,
    patch_json,
    patch_merge,
    patch_strategic,
    protobuf,
    typed,
)
from kuartui.embedded.meta import patched as patched_text
from kuartui.embedded.meta.apply import Manager
from kuartui.embedded.meta.errors import StatusError
from kuartui.embedded.meta.gofmt import go_print, quote
from kuartui.embedded.meta.schema import Node, definition, for_kind
from kuartui.embedded.meta.time import format_time

Obj = dict[str, Any]

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
APPLY_YAML = "application/apply-patch+yaml"
APPLY_CBOR = "application/apply-patch+cbor"
MAX_BODY = 3 * 1024 * 1024  # bytes; kube-apiserver's limit for resource writes


def content_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def parse(request: Request) -> Any:
    """The body as plain data. Raises 400 and 415."""
    kind = content_type(request)
    if kind == PROTOBUF:
        return protobuf.decode(request.body)
    if kind == YAML:
        return decode.parse_yaml(request.body)
    if kind in ("", JSON):
        return decode.parse_json(request.body)
    accepted = f"{JSON}, {YAML}, {PROTOBUF}"
    raise errors.unsupported_media_type(
        f"the body of the request was in an unknown format - accepted media types include: {accepted}"
    )


def validation(request: Request) -> str:
    """Strict, Warn or Ignore; Warn is what the API server does unasked."""
    return request.param("fieldValidation") or "Warn"


def read_object(request: Request, endpoint: Endpoint, kind: str = "", node: Node | None = None) -> Obj:
    """The body as a canonical object of the endpoint's (or the given) kind. Raises StatusError."""
    try:
        value = parse(request)
        if not isinstance(value, dict):
            raise errors.bad_request(f"json: cannot unmarshal {_go(value)} into Go value of type {_TYPE_META}")
    except StatusError as error:
        if error.code == 400 and content_type(request) in ("", JSON):
            why = f"couldn't get version/kind; json parse error: {error.message}"
            raise _unrecognized(kind or endpoint.kind, why, request.body) from error
        raise
    kind = kind or endpoint.kind
    api_version = endpoint.api_version
    if node is None:
        node = endpoint.node
    custom = endpoint.custom and node is endpoint.node
    for field in ("kind", "apiVersion") if custom else ():  # built-in kinds take what is missing from the path
        if not value.get(field):
            name = field if field == "apiVersion" else "Kind"
            why = f"Object '{name}' is missing in '{request.body.decode(errors='replace')}'"
            raise _unrecognized(kind, why, request.body)
    given_kind, given_version = value.get("kind") or kind, value.get("apiVersion") or api_version
    if not isinstance(given_kind, str) or not isinstance(given_version, str):
        raise errors.bad_request("couldn't get version/kind; json parse error: json: cannot unmarshal into string")
    if given_kind != kind or given_version != api_version:
        raise _wrong_kind(given_version, given_kind, api_version, kind, custom)
    version = endpoint.version
    mode, body = validation(request), request.body if content_type(request) in ("", JSON) else b""
    before: list[str] = []
    if content_type(request) == YAML and mode != "Ignore":
        twice = decode.parse_yaml_strictly(request.body)[1]
        before = [] if not twice else [twice] if mode == "Strict" else decode.yaml_problems(twice)
    result = canonical(value, node, kind, version, mode, request.warnings, body, custom=custom, before=before)
    result["apiVersion"], result["kind"] = api_version, kind
    return result


def _unrecognized(kind: str, why: str, body: bytes) -> StatusError:
    """What a body that tells no kind gets: transformDecodeError in k8s.io/apiserver/pkg/endpoints/handlers/rest.go."""
    start = body[:30].decode(errors="replace") if body.startswith(b"{") else body[:30].hex()
    shown = (start + " ..." if len(body) > 30 else start) if body else "<empty>"
    return errors.bad_request(f"the object provided is unrecognized (must be of type {kind}): {why} ({shown})")


def _wrong_kind(given_version: str, given_kind: str, api_version: str, kind: str, custom: bool) -> StatusError:
    """An object of another kind or version than the path's: the decoder's words for its Go types."""
    group, _, version = given_version.rpartition("/")
    known = custom or for_kind(group, version, given_kind) is not None  # custom resources have no scheme to be in
    if not known:
        why = _unknown_kind(given_kind, given_version)
    elif given_kind == kind:
        return errors.bad_request(
            f"the API version in the data ({given_version}) does not match the expected API version ({api_version})"
        )
    else:
        package = api_version.rpartition("/")[0].partition(".")[0] or "core"
        why = f"converting ({version}.{given_kind}) to ({package}.{kind}): unknown conversion"
    return errors.bad_request(f'{given_kind} in version "{version}" cannot be handled as a {kind}: {why}')


def _unknown_kind(kind: str, version: str) -> str:
    return f'no kind "{kind}" is registered for version "{version}" in scheme "pkg/api/legacyscheme/scheme.go:30"'


def check_name(obj: Obj, info: Info) -> None:
    """An object that is written must be the one of the path. Raises 400."""
    metadata = obj.get("metadata") or {}
    name, space = metadata.get("name", ""), metadata.get("namespace", "")
    if not name:
        why = f"the name of the object ({info.name} based on URL) was undeterminable: name must be provided"
        raise errors.bad_request(why)
    if name != info.name:
        raise errors.bad_request(f"the name of the object ({name}) does not match the name on the URL ({info.name})")
    if info.namespace and space and space != info.namespace:
        raise errors.bad_request(
            f"the namespace of the object ({space}) does not match the namespace on the request ({info.namespace})"
        )


def canonical(
    value: Obj,
    node: Node,
    kind: str,
    version: str,
    mode: str,
    warnings: list[str],
    body: bytes,
    *,
    custom: bool = False,
    before: Sequence[str] = (),
) -> Obj:
    """Decode as `fieldValidation` asks; warnings are added. `before` is what was wrong with the text already.

    `body` is the JSON text whose order problems come in; those of objects that were no JSON text come sorted.
    """
    decoder = structural.Decoder() if custom else decode.Decoder()
    try:
        result: Obj = decoder.decode(value, node, kind)
    except decode.DecodeError as error:
        raise decode.cannot_handle(kind, version, str(error)) from error
    if mode == "Ignore":
        return result
    unknown = [path for path in decoder.unknown if path not in ("kind", "apiVersion")]
    if custom or not body:
        unknown.sort(key=lambda path: (not (custom and path.startswith("metadata.")), path))
    problems = [*before, *decode.strict_problems(body, unknown, apart=custom)]
    if problems and mode == "Strict":
        raise decode.cannot_handle(kind, version, "strict decoding error: " + ", ".join(problems))
    warnings += problems
    return result


def _go(value: Any) -> str:
    return {list: "array", str: "string", bool: "bool"}.get(type(value), "number")


def _no_map(value: Any) -> str:
    return f"json: cannot unmarshal {_go(value)} into Go value of type map[string]interface {{}}"


_TYPE_META = 'struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }'


class Patch:
    """One patch request, ready to be laid over an object."""

    def __init__(self, request: Request, endpoint: Endpoint, rest: Rest, write: Write, *, custom: bool) -> None:
        self.kind = content_type(request)
        self.request, self.endpoint, self.rest, self.write = request, endpoint, rest, write
        self.is_apply = self.kind in (APPLY_YAML, "application/apply-patch+json")
        accepted = [JSON_PATCH, MERGE_PATCH, APPLY_YAML]
        if not custom:
            accepted = [JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH, APPLY_YAML, APPLY_CBOR]
        if self.kind not in (JSON_PATCH, MERGE_PATCH, APPLY_YAML, *([] if custom else [STRATEGIC_PATCH])):
            raise errors.unsupported_media_type(
                "the body of the request was in an unknown format - accepted media types include: "
                + ", ".join(accepted)
            )
        options.check_write(request, applies=self.is_apply)
        if self.is_apply:
            self.body, self._twice = decode.parse_yaml_strictly(request.body)
        else:
            self.body = decode.parse_json(request.body)
            if self.kind == STRATEGIC_PATCH and self.body is None:
                self.body = {}  # Go reads null into a map as one that is empty
            if self.kind != JSON_PATCH and not isinstance(self.body, dict):
                decoding = "error decoding patch: " if self.kind == MERGE_PATCH else ""
                raise errors.bad_request(decoding + _no_map(self.body))

    def __call__(self, current: Obj) -> Obj:
        """The patched, canonical object."""
        if self.is_apply:
            return self._apply(current)
        if self.kind == JSON_PATCH:
            value = patch_json.apply(current, self.body)
        elif self.kind == MERGE_PATCH:
            value = patch_merge.apply(current, self.body)
        else:
            value = patch_strategic.apply(current, self.body, self.endpoint.node)
        if not isinstance(value, dict):
            raise errors.bad_request(_no_map(value))
        if self.kind != STRATEGIC_PATCH:
            self._check_kind(value)
        warnings: list[str] = []
        try:
            result = canonical(
                value,
                self.endpoint.node,
                self.endpoint.kind,
                self.endpoint.version,
                validation(self.request),
                warnings,
                b"",
                custom=self.endpoint.custom,
                before=self._problems(),
            )
        except StatusError as error:
            raise self._unprocessable(error, value) from error
        self.request.warnings += warnings
        self._keep_identity(result, current)
        check_name(result, self.request.info)
        self._check_uid(result, current)
        return result

    def _problems(self) -> list[str]:
        """What strict decoding minds of the patch itself."""
        if validation(self.request) == "Ignore":
            return []
        if self.kind == JSON_PATCH:
            return decode.json_patch_problems(self.request.body, self.body)
        return decode.strict_problems(self.request.body, (), apart=True)

    def _check_uid(self, result: Obj, current: Obj) -> None:
        """A patch has no preconditions, as an update has: another uid is a change that validation refuses.

        An apply that names a uid means an object that exists already.
        """
        uid = result["metadata"].get("uid")
        if uid and not current:
            why = f"uid mismatch: the provided object specified uid {uid}, and no existing object was found"
            raise errors.conflict(self.endpoint.resource.name, self.request.info.name, why)
        if uid and uid != current["metadata"]["uid"]:
            error = fielderr.invalid("metadata.uid", uid, objects.IMMUTABLE)
            raise errors.invalid(self.endpoint.resource.group, self.endpoint.kind, self.request.info.name, [error])

    def _check_kind(self, patched: Obj) -> None:
        """JSON and merge patches are decoded by the kind they leave, which must be one of the group. Raises 422."""
        kind, api_version = patched.get("kind", ""), patched.get("apiVersion", "")
        if kind == self.endpoint.kind or not isinstance(kind, str) or not isinstance(api_version, str):
            return
        why = _unknown_kind(kind, api_version)
        if not kind:
            why = "Object 'Kind' is missing in '" + orjson.dumps(patched).decode() + "'"
        raise self._unprocessable(errors.bad_request(f": {why}"), patched)

    def _unprocessable(self, error: StatusError, patched: Obj) -> StatusError:
        """A patch whose result does not decode is the patch's fault: 422, with the patch in the message."""
        why = error.message.partition(": ")[2]
        if self.kind == STRATEGIC_PATCH:
            shown, why = go_print(self.body), _converter_error(why)
        else:
            shown = patched_text.show(patched, self.body, self.endpoint.node)
        text = f' "" is invalid: patch: Invalid value: {quote(shown)}: {why}'
        cause = {"reason": "FieldValueInvalid", "message": text.partition("patch: ")[2], "field": "patch"}
        return StatusError(422, "Invalid", text, causes=[cause])

    def _keep_identity(self, result: Obj, current: Obj) -> None:
        result["apiVersion"], result["kind"] = current["apiVersion"], current["kind"]

    def _apply(self, current: Obj) -> Obj:
        endpoint, write = self.endpoint, self.write
        if not isinstance(self.body, dict):
            raise errors.bad_request("error decoding YAML: invalid object")
        body = self.body
        if body.get("apiVersion") != endpoint.api_version:
            given = body.get("apiVersion") or ""
            raise errors.bad_request(
                "Incorrect version specified in apply patch. "
                f"Specified patch version: {given}, expected: {endpoint.api_version}"
            )
        name = self.request.info.name
        if isinstance(body.setdefault("metadata", {}), dict):
            body["metadata"].setdefault("name", name)
        self._check_typed(body)
        decoded = self._applied(body)
        decoded["apiVersion"], decoded["kind"] = endpoint.api_version, endpoint.kind
        manager = Manager(write.manager, apply.APPLY, endpoint.api_version, write.subresource)
        stamp = format_time(self.rest.clock.now())
        owns = ownership(endpoint, write.subresource)
        live = current or None
        if live is None:
            decoded["metadata"].pop("resourceVersion", None)
        result = apply.apply(live, decoded, endpoint.node, manager, stamp, force=write.force, owns=owns)
        result["apiVersion"], result["kind"] = endpoint.api_version, endpoint.kind
        check_name(result, self.request.info)
        self._check_uid(result, current)
        self._check_twice()
        return result

    def _check_twice(self) -> None:
        """Keys that come twice in what is applied are told once it could be applied. Raises 400."""
        mode = validation(self.request)
        if self._twice and mode == "Strict":
            raise errors.bad_request(f"error strict decoding YAML: error converting YAML to JSON: {self._twice}")
        if self._twice and mode == "Warn":
            self.request.warnings += decode.yaml_problems(self._twice)

    def _applied(self, body: Obj) -> Obj:
        """What is applied, decoded. Raises 500 for what its type cannot hold, as it is found out after the merge."""
        endpoint, mode, warnings = self.endpoint, validation(self.request), self.request.warnings
        try:
            (structural.Decoder() if endpoint.custom else decode.Decoder()).decode(body, endpoint.node, endpoint.kind)
        except decode.DecodeError as error:
            kind = f"{endpoint.resource.group}/{endpoint.version}, Kind={endpoint.kind}"
            why = f"unable to convert unstructured object to {kind}: {_converter_error(str(error))}"
            text = f"failed to convert new object ({self._what()}) to proper version: {why}"
            raise errors.go_error(text) from error
        return canonical(
            body, endpoint.node, endpoint.kind, endpoint.version, mode, warnings, b"", custom=endpoint.custom
        )

    def _what(self) -> str:
        info, endpoint = self.request.info, self.endpoint
        return f"{info.namespace}/{info.name}; {endpoint.resource.group}/{endpoint.version}, Kind={endpoint.kind}"

    def _check_typed(self, body: Obj) -> None:
        """An applied object that does not fit its schema, in the words of structured-merge-diff. Raises 500, as there."""
        problems = typed.problems(body, self.endpoint.node)
        if not problems:
            return
        shown = problems[0] if len(problems) == 1 else "errors:\n" + "\n".join(f"  {one}" for one in problems)
        raise errors.go_error(f"failed to create typed patch object ({self._what()}): {shown}")


def _converter_error(why: str) -> str:
    """Strategic merge patches are converted, not decoded: runtime.DefaultUnstructuredConverter's words."""
    found = re.fullmatch(r"json: cannot unmarshal (\w+)(?: (\S+))? into Go struct field \S+ of type (.+)", why)
    if not found:
        return f"error decoding from json: {why}" if why.startswith("illegal base64") else why
    got, number, name = found.groups()
    wanted = go_types.underlying(name)
    source = {"number": "float64" if number and not number.lstrip("-").isdigit() else "int64"}.get(got, got)
    if wanted in ("bool", "string", "float64") or (wanted.startswith(("int", "uint")) and "." not in wanted):
        # what Go could convert but JSON does not: any number to another, and an integer to a string
        convertible = source in ("int64", "float64") and wanted not in ("bool", "string")
        if convertible or (source, wanted) == ("int64", "string"):
            return f"cannot convert {source} to {name}"
        return f"unrecognized type: {wanted}"
    kind = "slice" if wanted.startswith("[]") else "map" if wanted.startswith("map[") else "struct"
    given = {"object": "map", "array": "slice"}.get(source, source)
    return f"cannot restore {kind} from{':' if kind == 'struct' else ''} {given}"


def options_body(request: Request) -> Obj:
    """DeleteOptions: those of the body, or without one those of the query."""
    given = _delete_options(request) if request.body else _queried(request)
    options.check_delete(given)
    return given


def _delete_options(request: Request) -> Obj:
    """What cannot be decoded is a plain error of Go here: nothing makes a bad request of it."""
    try:
        value = parse(request)
        if not isinstance(value, dict):
            raise errors.bad_request(f"json: cannot unmarshal {_go(value)} into Go value of type {_TYPE_META}")
    except StatusError as error:
        if error.code != 400:
            raise
        raise errors.go_error(f"couldn't get version/kind; json parse error: {error.message}") from error
    try:
        found: Obj = decode.Decoder().decode(value, definition(_DELETE_OPTIONS), "DeleteOptions")
    except decode.DecodeError as error:
        raise errors.go_error(str(error)) from error
    return found


_DELETE_OPTIONS = "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions"


def _queried(request: Request) -> Obj:
    given: Obj = {name: request.param(name) for name in ("propagationPolicy", "fieldManager") if request.param(name)}
    if request.param("gracePeriodSeconds"):
        given["gracePeriodSeconds"] = _integer(request.param("gracePeriodSeconds"))
    if request.param("orphanDependents"):
        given["orphanDependents"] = request.flag("orphanDependents")
    if "dryRun" in request.query:
        given["dryRun"] = request.query["dryRun"]
    return given


def _integer(text: str) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise errors.bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax') from error
