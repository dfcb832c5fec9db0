"""CustomResourceDefinitions themselves; what they define is in `crd/`.

k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/{v1/defaults.go,validation/validation.go} and
pkg/registry/customresourcedefinition.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from kuartui.embedded.crd.names import APPROVAL, CLEANUP, is_protected
from kuartui.embedded.crd.versions import schema_of
from kuartui.embedded.kinds import webhook_rules
from kuartui.embedded.kinds.base import Obj, Strategy, WriteContext, register
from kuartui.embedded.meta import fielderr, names
from kuartui.embedded.meta.fielderr import FieldError, Path

COLUMN_TYPES = ("boolean", "date", "integer", "number", "string")
COLUMN_FORMATS = ("byte", "date", "date-time", "double", "float", "int32", "int64", "password")
SHARED = ("schema", "subresources", "additionalPrinterColumns", "selectableFields")
SCALE_PATHS = {
    "specReplicasPath": (".spec",),
    "statusReplicasPath": (".status",),
    "labelSelectorPath": (".spec", ".status"),
}
_IMMUTABLE = "field is immutable"
_SIMPLE = "must be a simple json path starting with ."


@register("customresourcedefinitions.apiextensions.k8s.io")
class CustomResourceDefinitions(Strategy):
    qualified_finalizers = False
    unconditional_update = False

    def default(self, obj: Obj) -> None:
        spec = obj.get("spec")
        if not isinstance(spec, dict):
            return
        given = spec.setdefault("names", {})
        if given.get("kind"):
            if not given.get("singular"):
                given["singular"] = given["kind"].lower()
            if not given.get("listKind"):
                given["listKind"] = given["kind"] + "List"
        conversion = spec.setdefault("conversion", {})
        conversion.setdefault("strategy", "None")
        service = ((conversion.get("webhook") or {}).get("clientConfig") or {}).get("service")
        if service is not None:
            service.setdefault("port", 443)
        for version in spec.get("versions") or ():
            version.setdefault("served", False)
            version.setdefault("storage", False)

    def prepare_create(self, obj: Obj, ctx: WriteContext) -> None:
        stored = [v["name"] for v in obj.get("spec", {}).get("versions") or () if v.get("storage") and v.get("name")]
        if stored:
            obj["status"] = {"storedVersions": stored}

    def prepare_update(self, new: Obj, old: Obj, ctx: WriteContext) -> None:
        status = new.setdefault("status", {})
        known = list(status.get("storedVersions") or ())
        for version in new.get("spec", {}).get("versions") or ():
            if version.get("storage") and version.get("name") and version["name"] not in known:
                new["status"] = {**status, "storedVersions": [*known, version["name"]]}

    def prepare_delete(self, obj: Obj) -> None:
        metadata = obj["metadata"]
        metadata["finalizers"] = [*(metadata.get("finalizers") or ()), CLEANUP]

    def held(self, obj: Obj) -> bool:
        """Objects of the kind go first, so that a deletion never ends at once."""
        return "deletionTimestamp" not in obj["metadata"]

    def validate(self, obj: Obj) -> list[FieldError]:
        return [*_name(obj), *_spec(obj, {}), *_whole(obj, {})]

    def validate_update(self, new: Obj, old: Obj) -> list[FieldError]:
        return [*_spec(new, old), *_changes(new, old), *_whole(new, old)]

    def warnings(self, obj: Obj, old: Obj | None) -> list[str]:
        known = set(_formats(old)) if old is not None else set()
        return [f'unrecognized format "{form}"' for form in dict.fromkeys(_formats(obj)) if form not in known]


def _formats(obj: Obj) -> Iterator[str]:
    from kuartui.embedded.crd.formats import unrecognized

    for version in (obj.get("spec") or {}).get("versions") or ():
        yield from unrecognized(schema_of(version))


def _name(obj: Obj) -> Iterator[FieldError]:
    spec = obj.get("spec") or {}
    name, group = obj["metadata"].get("name", ""), spec.get("group", "")
    if name != f"{(spec.get('names') or {}).get('plural', '')}.{group}":
        yield fielderr.invalid("metadata.name", name, 'must be spec.names.plural+"."+spec.group')


def _spec(obj: Obj, old: Obj) -> Iterator[FieldError]:
    spec, path = obj.get("spec") or {}, Path("spec")
    before = {version.get("name"): schema_of(version) for version in (old.get("spec") or {}).get("versions") or ()}
    yield from _group(spec, path)
    if not spec.get("scope"):
        yield fielderr.required(path / "scope")
    elif spec["scope"] not in ("Cluster", "Namespaced"):
        yield fielderr.not_supported(path / "scope", spec["scope"], ("Cluster", "Namespaced"))
    versions = spec.get("versions") or []
    # what is the same in all versions is kept once, and that is where errors point
    shared = {part: _shared(versions, part) for part in SHARED}
    yield from _versions(spec, shared, path, before)
    yield from _names(spec.get("names") or {}, path / "names")
    if versions:
        yield from _each(versions[0], shared, path, before, top=True)
    yield from _conversion(spec, path / "conversion")


def _whole(obj: Obj, old: Obj) -> Iterator[FieldError]:
    spec, before = obj.get("spec") or {}, old.get("spec") or {}
    yield from _stored(obj, spec)
    approval = _approval(obj, spec)
    if approval != _approval(old, spec):
        yield from approval
    if spec.get("preserveUnknownFields") and not before.get("preserveUnknownFields"):
        why = "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead"
        yield fielderr.invalid(Path("spec") / "preserveUnknownFields", True, why)


def _approval(obj: Obj, spec: Obj) -> list[FieldError]:
    """What a CRD of a group of Kubernetes itself lacks; an object that is not there yet lacks nothing."""
    if not obj or not is_protected(str(spec.get("group", ""))):
        return []
    value = (obj["metadata"].get("annotations") or {}).get(APPROVAL)
    path = Path("metadata.annotations").key(APPROVAL)
    see = "see https://github.com/kubernetes/enhancements/pull/1111"
    if value is None:
        return [fielderr.required(path, f'protected groups must have approval annotation "{APPROVAL}", {see}')]
    if value.startswith(("https://", "http://", "unapproved")):
        return []
    why = (
        f'protected groups must have approval annotation "{APPROVAL}" with either a URL or a reason starting with '
        f'"unapproved", {see}'
    )
    return [fielderr.invalid(path, value, why)]


def _group(spec: Obj, path: Path) -> Iterator[FieldError]:
    group = str(spec.get("group", ""))
    problems = names.dns1123_subdomain(group)
    if not group:
        yield fielderr.required(path / "group")
    elif problems:
        yield fielderr.invalid(path / "group", group, ",".join(problems))
    elif "." not in group:
        yield fielderr.invalid(path / "group", group, "should be a domain with at least one dot")


def _versions(spec: Obj, shared: dict[str, bool], path: Path, before: Obj) -> Iterator[FieldError]:
    versions = spec.get("versions") or []
    for index, version in enumerate(versions):
        if (version.get("schema") or {}).get("openAPIV3Schema") is None:
            place = (path / "versions").index(index) / "schema" / "openAPIV3Schema"
            yield fielderr.required(place)
    for index, version in enumerate(versions):
        here = (path / "versions").index(index)
        yield from _version_name(version, here / "name")
        yield from _deprecation(version, here / "deprecationWarning")
        yield from _each(version, shared, here, before, top=False)
    named = [version.get("name") for version in versions]
    if len(set(named)) < len(named):
        yield fielderr.invalid(path / "versions", _go(versions, shared), "must contain unique version names")
    if sum(bool(version.get("storage")) for version in versions) != 1:
        why = "must have exactly one version marked as storage version"
        yield fielderr.invalid(path / "versions", _go(versions, shared) if versions else spec.get("versions"), why)
    if versions and versions[0].get("name"):
        yield from _version_name(versions[0], path / "version")  # where Kubernetes keeps the first, too


def _version_name(version: Obj, path: Path) -> Iterator[FieldError]:
    problems = names.dns1035_label(str(version.get("name", "")))
    if problems:
        yield fielderr.invalid(path, version.get("name", ""), ",".join(problems))


def _each(version: Obj, shared: dict[str, bool], path: Path, before: Obj, *, top: bool) -> Iterator[FieldError]:
    """The parts of a version; with `top` those that all versions share, else the others. `before`: schemas by name."""
    from kuartui.embedded.crd.schema_rules import schema_errors  # with the compiler of rules behind it: when needed
    from kuartui.embedded.crd.selectable import selectable_errors

    schema, subresources = schema_of(version), version.get("subresources") or {}
    if "openAPIV3Schema" in (version.get("schema") or {}) and shared["schema"] == top:
        place = path / "validation" if top else path / "schema"
        known = before.get(version.get("name", "")) == schema
        yield from schema_errors(schema, place / "openAPIV3Schema", status="status" in subresources, known=known)
    if shared["subresources"] == top:
        yield from _subresources(subresources, path / "subresources")
    if shared["additionalPrinterColumns"] == top:
        for number, column in enumerate(version.get("additionalPrinterColumns") or ()):
            yield from _column(column, (path / "additionalPrinterColumns").index(number))
    if shared["selectableFields"] == top:
        yield from selectable_errors(version.get("selectableFields") or (), schema, path / "selectableFields")


def _deprecation(version: Obj, path: Path) -> Iterator[FieldError]:
    text = version.get("deprecationWarning")
    if text is None:
        return
    if not version.get("deprecated"):
        yield fielderr.invalid(path, text, "can only be set for deprecated versions")
        return
    if len(text.encode()) > 256:
        yield fielderr.invalid(path, text, "must be <= 256 characters long")
    if not text:
        yield fielderr.invalid(path, text, "must not be an empty string")
    for index, character in enumerate(text):
        if not character.isprintable():
            at = len(text[:index].encode())
            why = f"must only contain printable UTF-8 characters; non-printable character found at index {at}"
            yield fielderr.invalid(path, text, why)
            break


def _shared(versions: list[Obj], part: str) -> bool:
    """Whether all versions have the same schema, subresources, columns or selectable fields."""
    return all(version.get(part) == versions[0].get(part) for version in versions)


def _go(versions: list[Obj], shared: dict[str, bool]) -> list[Obj]:
    """Versions as the internal Go struct prints."""
    return [
        {
            "Name": version.get("name", ""),
            "Served": bool(version.get("served")),
            "Storage": bool(version.get("storage")),
            "Deprecated": bool(version.get("deprecated")),
            "DeprecationWarning": version.get("deprecationWarning"),
            **{part[0].upper() + part[1:]: None if shared[part] else version.get(part) for part in SHARED},
        }
        for version in versions
    ]


def _subresources(subresources: Obj, path: Path) -> Iterator[FieldError]:
    scale = subresources.get("scale")
    if scale is None:
        return
    for field, roots in SCALE_PATHS.items():
        value, place = scale.get(field, ""), path / "scale" / field
        if not value:
            if field != "labelSelectorPath":
                yield fielderr.required(place)
        elif not value.startswith("."):
            yield fielderr.invalid(place, value, _SIMPLE)
        elif not value.startswith(tuple(f"{root}." for root in roots)):
            either = "either " if len(roots) > 1 else ""
            yield fielderr.invalid(place, value, f"should be a json path under {either}{' or '.join(roots)}")


def _column(column: Obj, path: Path) -> Iterator[FieldError]:
    if not column.get("name"):
        yield fielderr.required(path / "name")
    if not column.get("type"):
        yield fielderr.required(path / "type", "must be one of " + ",".join(COLUMN_TYPES))
    elif column["type"] not in COLUMN_TYPES:
        yield fielderr.invalid(path / "type", column["type"], "must be one of " + ",".join(COLUMN_TYPES))
    if column.get("format") and column["format"] not in COLUMN_FORMATS:
        yield fielderr.invalid(path / "format", column["format"], "must be one of " + ",".join(COLUMN_FORMATS))
    if not column.get("jsonPath"):
        yield fielderr.required(path / "JSONPath")
    elif not column["jsonPath"].startswith("."):
        yield fielderr.invalid(path / "JSONPath", column["jsonPath"], _SIMPLE)


def _conversion(spec: Obj, path: Path) -> Iterator[FieldError]:
    """Paths are the internal type's, where the webhook's parts lie beside the strategy."""
    conversion = spec.get("conversion") or {}
    strategy, webhook = conversion.get("strategy", "None"), conversion.get("webhook")
    if strategy not in ("None", "Webhook"):
        yield fielderr.not_supported(path / "strategy", strategy, ("None", "Webhook"))
    if strategy == "Webhook":
        client = (webhook or {}).get("clientConfig")
        place, versions = path / "webhookClientConfig", path / "conversionReviewVersions"
        if client is None:
            yield fielderr.required(place, "required when strategy is set to Webhook")
        else:
            yield from webhook_rules.client(client, place)
        yield from webhook_rules.reviews((webhook or {}).get("conversionReviewVersions") or [], versions)
    elif webhook is not None:
        why = "should not be set when strategy is not set to Webhook"
        if webhook.get("clientConfig") is not None:
            yield fielderr.forbidden(path / "webhookClientConfig", why)
        if webhook.get("conversionReviewVersions"):
            yield fielderr.forbidden(path / "conversionReviewVersions", why)


def _names(given: Obj, path: Path) -> Iterator[FieldError]:
    fields = ("plural", "singular", "kind", "listKind")
    yield from (fielderr.required(path / field) for field in fields if not given.get(field))
    for field in fields:
        value = str(given.get(field, ""))
        mixed = field in ("kind", "listKind")
        problems = names.dns1035_label(value.lower() if mixed else value)
        if value and problems:
            text = ",".join(problems)
            why = f"may have mixed case, but should otherwise match: {text}" if mixed else text
            yield fielderr.invalid(path / field, value, why)
    yield from _labels(given.get("shortNames") or (), path / "shortNames")
    if given.get("kind") and given.get("kind") == given.get("listKind"):
        yield fielderr.invalid(path / "listKind", given["listKind"], "kind and listKind may not be the same")
    yield from _labels(given.get("categories") or (), path / "categories")


def _labels(values: Iterable[str], path: Path) -> Iterator[FieldError]:
    for index, value in enumerate(values):
        problems = names.dns1035_label(value)
        if problems:
            yield fielderr.invalid(path.index(index), value, ",".join(problems))


def _stored(obj: Obj, spec: Obj) -> Iterator[FieldError]:
    stored: list[Any] = (obj.get("status") or {}).get("storedVersions") or []
    path = Path("status") / "storedVersions"
    if not stored:
        yield fielderr.invalid(path, None, "must have at least one stored version")
    known = {version.get("name") for version in spec.get("versions") or ()}
    for index, name in enumerate(stored):
        if name not in known:
            why = (
                f"missing from spec.versions; {name} was previously a storage version, and must remain in spec.versions "
                f"until a storage migration ensures no data remains persisted in {name} and removes {name} from "
                "status.storedVersions"
            )
            yield fielderr.invalid(path.index(index), name, why)


def _changes(new: Obj, old: Obj) -> Iterator[FieldError]:
    path, spec, before = Path("spec"), new.get("spec") or {}, old.get("spec") or {}
    conditions = (old.get("status") or {}).get("conditions") or ()
    if any(c.get("type") == "Established" and c.get("status") == "True" for c in conditions):
        if spec.get("scope") != before.get("scope"):
            yield fielderr.invalid(path / "scope", spec.get("scope", ""), _IMMUTABLE)
        if spec.get("names", {}).get("kind") != before.get("names", {}).get("kind"):
            yield fielderr.invalid(path / "names" / "kind", spec.get("names", {}).get("kind", ""), _IMMUTABLE)
    if spec.get("group") != before.get("group"):
        yield fielderr.invalid(path / "group", spec.get("group", ""), _IMMUTABLE)
    if spec.get("names", {}).get("plural") != before.get("names", {}).get("plural"):
        yield fielderr.invalid(path / "names" / "plural", spec.get("names", {}).get("plural", ""), _IMMUTABLE)
