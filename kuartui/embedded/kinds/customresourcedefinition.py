"""CustomResourceDefinitions themselves; what they define is in `crd/`.

k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/{v1/defaults.go,validation/validation.go} and
pkg/registry/customresourcedefinition.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kuartui.embedded.crd.names import APPROVAL, CLEANUP, is_protected
from kuartui.embedded.crd.versions import schema_of
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
        spec.setdefault("conversion", {}).setdefault("strategy", "None")
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
        return list(_errors(obj))

    def validate_update(self, new: Obj, old: Obj) -> list[FieldError]:
        return [*_errors(new), *_changes(new, old)]

    def warnings(self, obj: Obj, old: Obj | None) -> list[str]:
        known = set(_formats(old)) if old is not None else set()
        return [f'unrecognized format "{form}"' for form in dict.fromkeys(_formats(obj)) if form not in known]


def _formats(obj: Obj) -> Iterator[str]:
    from kuartui.embedded.crd.formats import unrecognized

    for version in (obj.get("spec") or {}).get("versions") or ():
        yield from unrecognized(schema_of(version))


def _errors(obj: Obj) -> Iterator[FieldError]:
    spec, path = obj.get("spec") or {}, Path("spec")
    given = spec.get("names") or {}
    name, wanted = obj["metadata"].get("name", ""), f"{given.get('plural', '')}.{spec.get('group', '')}"
    if name != wanted:
        yield fielderr.invalid("metadata.name", name, 'must be spec.names.plural+"."+spec.group')
    yield from _approval(obj, spec)
    yield from _group(spec, path)
    if not spec.get("scope"):
        yield fielderr.required(path / "scope")
    elif spec["scope"] not in ("Cluster", "Namespaced"):
        yield fielderr.not_supported(path / "scope", spec["scope"], ("Cluster", "Namespaced"))
    yield from _versions(spec, path)
    yield from _names(given, path / "names")
    yield from _conversion(spec, path / "conversion")
    if spec.get("preserveUnknownFields"):
        why = "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead"
        yield fielderr.invalid(path / "preserveUnknownFields", True, why)
    yield from _stored(obj, spec)


def _approval(obj: Obj, spec: Obj) -> Iterator[FieldError]:
    if not is_protected(str(spec.get("group", ""))):
        return
    value = (obj["metadata"].get("annotations") or {}).get(APPROVAL)
    path = Path("metadata.annotations").key(APPROVAL)
    see = "see https://github.com/kubernetes/enhancements/pull/1111"
    if value is None:
        yield fielderr.required(path, f'protected groups must have approval annotation "{APPROVAL}", {see}')
    elif not value.startswith(("https://", "http://", "unapproved")):
        why = (
            f'protected groups must have approval annotation "{APPROVAL}" with either a URL or a reason starting with '
            f'"unapproved", {see}'
        )
        yield fielderr.invalid(path, value, why)


def _group(spec: Obj, path: Path) -> Iterator[FieldError]:
    group = str(spec.get("group", ""))
    problems = names.dns1123_subdomain(group)
    if not group:
        yield fielderr.required(path / "group")
    elif problems:
        yield fielderr.invalid(path / "group", group, ",".join(problems))
    elif "." not in group:
        yield fielderr.invalid(path / "group", group, "should be a domain with at least one dot")


def _versions(spec: Obj, path: Path) -> Iterator[FieldError]:
    versions = spec.get("versions") or []
    shared = {part: _shared(versions, part) for part in SHARED}
    for index, version in enumerate(versions):
        here = (path / "versions").index(index)
        problems = names.dns1035_label(str(version.get("name", "")))
        if problems:
            yield fielderr.invalid(here / "name", version.get("name", ""), ",".join(problems))
        yield from _deprecation(version, here / "deprecationWarning")
        if (version.get("schema") or {}).get("openAPIV3Schema") is None:
            yield fielderr.required(here / "schema" / "openAPIV3Schema")
        yield from (_each(version, shared, here, top=False))
    if versions:
        # what is the same in all versions is kept once, and that is where errors point
        yield from _each(versions[0], shared, path, top=True)
    named = [version.get("name") for version in versions]
    if len(set(named)) < len(named):
        yield fielderr.invalid(path / "versions", _go(versions, shared), "must contain unique version names")
    if sum(bool(version.get("storage")) for version in versions) != 1:
        why = "must have exactly one version marked as storage version"
        yield fielderr.invalid(path / "versions", _go(versions, shared) if versions else spec.get("versions"), why)


def _each(version: Obj, shared: dict[str, bool], path: Path, *, top: bool) -> Iterator[FieldError]:
    """The parts of a version; with `top` those that all versions share, else the others."""
    from kuartui.embedded.crd.schema_rules import schema_errors  # with the compiler of rules behind it: when needed
    from kuartui.embedded.crd.selectable import selectable_errors

    schema, subresources = schema_of(version), version.get("subresources") or {}
    if "openAPIV3Schema" in (version.get("schema") or {}) and shared["schema"] == top:
        place = path / "validation" if top else path / "schema"
        yield from schema_errors(schema, place / "openAPIV3Schema", status="status" in subresources)
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
    elif len(text) > 256:
        yield fielderr.invalid(path, text, "must be <= 256 characters long")
    elif not text:
        yield fielderr.invalid(path, text, "must not be an empty string")


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
        place = path / "webhookClientConfig"
        if client is None:
            yield fielderr.required(place, "required when strategy is set to Webhook")
        elif ("url" in client) == ("service" in client):
            yield fielderr.required(place, "exactly one of url or service is required")
        yield from _reviews((webhook or {}).get("conversionReviewVersions") or [], path / "conversionReviewVersions")
    elif webhook is not None:
        why = "should not be set when strategy is not set to Webhook"
        if webhook.get("clientConfig") is not None:
            yield fielderr.forbidden(path / "webhookClientConfig", why)
        if webhook.get("conversionReviewVersions"):
            yield fielderr.forbidden(path / "conversionReviewVersions", why)


def _reviews(versions: list[str], path: Path) -> Iterator[FieldError]:
    if not versions:
        yield fielderr.required(path)
    elif not {"v1", "v1beta1"} & set(versions):
        yield fielderr.invalid(path, versions, "must include at least one of v1, v1beta1")


def _names(given: Obj, path: Path) -> Iterator[FieldError]:
    for field in ("plural", "singular", "kind", "listKind"):
        value = str(given.get(field, ""))
        if not value:
            yield fielderr.required(path / field)
            continue
        mixed = field in ("kind", "listKind")
        problems = names.dns1035_label(value.lower() if mixed else value)
        if problems:
            text = ",".join(problems)
            why = f"may have mixed case, but should otherwise match: {text}" if mixed else text
            yield fielderr.invalid(path / field, value, why)
    for field in ("shortNames", "categories"):
        for index, value in enumerate(given.get(field) or ()):
            problems = names.dns1035_label(value)
            if problems:
                yield fielderr.invalid((path / field).index(index), value, ",".join(problems))
    if given.get("kind") and given.get("kind") == given.get("listKind"):
        yield fielderr.invalid(path / "listKind", given["listKind"], "kind and listKind may not be the same")


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
