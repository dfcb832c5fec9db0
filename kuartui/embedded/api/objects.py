"""What every object has, whatever its kind: metadata on creation and update, versions, finalizers.

k8s.io/apiserver/pkg/registry/rest/{create,update,meta}.go and apimachinery/pkg/api/validation/objectmeta.go.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kuartui.embedded.api.resources import Endpoint
from kuartui.embedded.kinds.base import WriteContext
from kuartui.embedded.meta import fielderr, names, random
from kuartui.embedded.meta.errors import StatusError, bad_request
from kuartui.embedded.meta.fielderr import FieldError
from kuartui.embedded.meta.time import format_time
from kuartui.embedded.store import Stored, encode

Obj = dict[str, Any]

TOTAL_ANNOTATION_SIZE = 256 * 1024  # bytes
IMMUTABLE = "field is immutable"
LISTS = ("ownerReferences", "finalizers")


def to_storage(endpoint: Endpoint, obj: Obj) -> Obj:
    """The object in its storage version; a custom one stays in the endpoint's until it is stored."""
    if endpoint.is_storage or endpoint.custom:
        return obj
    return endpoint.strategy.convert(obj, endpoint.resource.storage)


def from_storage(endpoint: Endpoint, obj: Obj) -> Obj:
    """The stored object in the endpoint's version; shared when nothing changes.

    Custom objects are in it already: `data_in` reads them.
    """
    if endpoint.is_storage or endpoint.custom:
        return obj
    twin = endpoint.resource.stored != endpoint.resource.name
    return endpoint.strategy.convert(obj, endpoint.api_version if twin else endpoint.version)


def data_in(endpoint: Endpoint, stored: Stored) -> Obj:
    """A stored object in the endpoint's version, not to be changed.

    What a webhook converts must have been converted before (`Rest.prepare`).
    """
    if not endpoint.custom:
        return from_storage(endpoint, stored.data)
    key = ("data", endpoint.api_version, endpoint.strategy)  # a CRD's strategy goes when its schema changes
    found: Obj | None = stored.cache.get(key)
    if found is None:
        found = endpoint.strategy.convert(stored.data, endpoint.version)
        if found == stored.data:
            found = stored.data  # the usual case: no second copy is kept
        stored.cache[key] = found
    return found


def converted(endpoint: Endpoint, stored: Stored) -> bool:
    """Whether `data_in` can be asked without asking a webhook first."""
    own = stored.data["apiVersion"] == endpoint.api_version or endpoint.strategy.conversion is None
    return own or ("data", endpoint.api_version, endpoint.strategy) in stored.cache


def put_converted(endpoint: Endpoint, stored: Stored, obj: Obj) -> None:
    """Keep what a webhook made of a stored object."""
    stored.cache["data", endpoint.api_version, endpoint.strategy] = obj


def raw_in(endpoint: Endpoint, stored: Stored) -> bytes:
    """A stored object as JSON in the endpoint's version."""
    if endpoint.is_storage:
        return stored.raw
    key = ("raw", endpoint.api_version, endpoint.strategy)  # a CRD's strategy goes when its schema changes
    found: bytes | None = stored.cache.get(key)
    if found is None:
        data = data_in(endpoint, stored)
        found = stored.cache[key] = stored.raw if data is stored.data else encode(data)
    return found


def raw_item(endpoint: Endpoint, stored: Stored) -> bytes:
    """The same as an item of a list: its kind and apiVersion are those of the list, and not said again.

    Custom resources say them, as they have no type in Go.
    """
    raw = raw_in(endpoint, stored)
    head = b'{"kind":"%b","apiVersion":"%b",' % (endpoint.kind.encode(), endpoint.api_version.encode())
    return b"{" + raw[len(head) :] if raw.startswith(head) and not endpoint.custom else raw


def prepare_metadata(endpoint: Endpoint, obj: Obj, namespace: str, now: datetime) -> None:
    """What creation sets: namespace, generated name, uid, creation time (in place)."""
    metadata = obj.setdefault("metadata", {})
    if endpoint.resource.namespaced:
        given = metadata.get("namespace", "")
        if given and given != namespace:
            raise bad_request("the namespace of the provided object does not match the namespace sent on the request")
        metadata["namespace"] = namespace
    else:
        metadata.pop("namespace", None)
    if not metadata.get("name") and metadata.get("generateName"):
        metadata["name"] = random.generate_name(metadata["generateName"])
    for field in ("deletionTimestamp", "deletionGracePeriodSeconds", "selfLink"):
        metadata.pop(field, None)
    metadata["uid"] = random.uid()
    metadata["creationTimestamp"] = format_time(now)
    if endpoint.strategy.generation:
        metadata["generation"] = 1


def carry_metadata(new: Obj, old: Obj) -> None:
    """What an update cannot change is taken from the old object (in place)."""
    metadata, before = new.setdefault("metadata", {}), old["metadata"]
    for field in ("creationTimestamp", "generation"):
        if field in before:
            metadata[field] = before[field]
        else:
            metadata.pop(field, None)
    for field in ("deletionTimestamp", "deletionGracePeriodSeconds"):
        if field in before:  # where not, setting it is an attempt to change it
            metadata[field] = before[field]
    for field in ("uid", "name", "namespace", "generateName"):
        if field in before and not metadata.get(field):
            metadata[field] = before[field]


def bump_generation(endpoint: Endpoint, new: Obj, old: Obj) -> None:
    """Count a change of what the user wants."""
    if endpoint.strategy.generation and endpoint.strategy.desired(new) != endpoint.strategy.desired(old):
        new["metadata"]["generation"] = old["metadata"].get("generation", 0) + 1


def validate_metadata(endpoint: Endpoint, obj: Obj) -> list[FieldError]:
    """Names, labels, annotations, owners, finalizers."""
    path = fielderr.Path("metadata")
    metadata = obj.get("metadata", {})
    errors: list[FieldError] = []
    prefix = metadata.get("generateName", "")
    if prefix:
        problems = endpoint.strategy.validate_name(prefix, True)
        errors += [fielderr.invalid(path / "generateName", prefix, problem) for problem in problems]
    name = metadata.get("name", "")
    if not name:
        errors.append(fielderr.required(path / "name", "name or generateName is required"))
    else:
        problems = endpoint.strategy.validate_name(name, False)
        errors += [fielderr.invalid(path / "name", name, problem) for problem in problems]
    if endpoint.resource.namespaced and not metadata.get("namespace"):
        errors.append(fielderr.required(path / "namespace"))
    return errors + _common_errors(metadata, path) + _finalizers_of_nobody(metadata, path, endpoint)


def _common_errors(metadata: Obj, path: fielderr.Path) -> list[FieldError]:
    """ValidateObjectMeta of apimachinery, but for the names."""
    errors: list[FieldError] = []
    if metadata.get("generation", 0) < 0:
        why = "must be greater than or equal to 0"
        errors.append(fielderr.invalid(path / "generation", metadata["generation"], why))
    errors += label_errors(metadata.get("labels"), path / "labels")
    annotations = metadata.get("annotations") or {}
    for key in annotations:
        errors += [fielderr.invalid(path / "annotations", key, why) for why in names.qualified_name(key.lower())]
    if sum(len(k.encode()) + len(v.encode()) for k, v in annotations.items()) > TOTAL_ANNOTATION_SIZE:
        errors.append(fielderr.too_long(path / "annotations", TOTAL_ANNOTATION_SIZE))
    errors += _owner_errors(metadata.get("ownerReferences") or (), path / "ownerReferences")
    finalizers = metadata.get("finalizers") or []
    for finalizer in finalizers:
        errors += [fielderr.invalid(path / "finalizers", finalizer, why) for why in names.qualified_name(finalizer)]
    if {"orphan", "foregroundDeletion"} <= set(finalizers):
        why = "finalizer orphan and foregroundDeletion cannot be both set"
        errors.append(fielderr.invalid(path / "finalizers", finalizers, why))
    return errors


def _finalizers_of_nobody(metadata: Obj, path: fielderr.Path, endpoint: Endpoint) -> list[FieldError]:
    """Those whose names tell neither a domain nor what Kubernetes itself does."""
    if not endpoint.strategy.qualified_finalizers:
        return []
    why = "name is neither a standard finalizer name nor is it fully qualified"
    return [
        fielderr.invalid((path / "finalizers").index(index), finalizer, why)
        for index, finalizer in enumerate(metadata.get("finalizers") or ())
        if "/" not in finalizer and finalizer not in ("kubernetes", "orphan", "foregroundDeletion")
    ]


def label_errors(labels: Obj | None, path: fielderr.Path) -> list[FieldError]:
    errors: list[FieldError] = []
    for key, value in (labels or {}).items():
        errors += [fielderr.invalid(path, key, why) for why in names.qualified_name(key)]
        errors += [fielderr.invalid(path, value, why) for why in names.label_value(value)]
    return errors


def _owner_errors(owners: Any, path: fielderr.Path) -> list[FieldError]:
    """ValidateOwnerReferences: which of several references is meant, it does not say."""
    errors: list[FieldError] = []
    first = ""
    for owner in owners:
        version, kind = owner.get("apiVersion") or "", owner.get("kind") or ""
        if not version.rpartition("/")[2] or version.count("/") > 1:
            errors.append(fielderr.invalid(path / "apiVersion", version, "version must not be empty"))
        for field in ("kind", "name", "uid"):
            if not owner.get(field):
                errors.append(fielderr.invalid(path / field, "", "must not be empty"))
        if (version, kind) == ("v1", "Event"):
            text = "/v1, Kind=Event is disallowed from being an owner"
            errors.append(fielderr.invalid(path, _shown_owner(owner), text))
        if not owner.get("controller"):
            continue
        name = f"{kind}/{owner.get('name') or ''}"
        if first:
            text = (
                f'Only one reference can have Controller set to true. Found "true" in references for {first} and {name}'
            )
            errors.append(fielderr.invalid(path, [_shown_owner(one) for one in owners], text))
        first = first or name
    return errors


def _shown_owner(owner: Obj) -> Obj:
    """A metav1.OwnerReference as errors show it."""
    shown = {field: owner.get(field) or "" for field in ("apiVersion", "kind", "name", "uid")}
    flags = {field: owner[field] for field in ("controller", "blockOwnerDeletion") if owner.get(field) is not None}
    return shown | flags


def validate_metadata_update(endpoint: Endpoint, new: Obj, old: Obj) -> list[FieldError]:
    """Metadata that does not change."""
    path = fielderr.Path("metadata")
    metadata, before = new["metadata"], old["metadata"]
    # where they are the same objects, in a write of status, nothing of this can have changed
    untouched = all(metadata.get(field) is before.get(field) for field in ("labels", "annotations", *LISTS))
    errors = [] if untouched else _common_errors(metadata, path)
    if before.get("deletionTimestamp"):
        added = [f for f in metadata.get("finalizers") or () if f not in (before.get("finalizers") or ())]
        if added:
            text = (
                f"no new finalizers can be added if the object is being deleted, found new finalizers {_go_list(added)}"
            )
            errors.append(fielderr.forbidden(path / "finalizers", text))
    for field in ("name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"):
        if metadata.get(field) != before.get(field):
            errors.append(fielderr.invalid(path / field, metadata.get(field), IMMUTABLE))
    return errors if untouched else errors + _finalizers_of_nobody(metadata, path, endpoint)


def _go_list(items: list[str]) -> str:
    return "[]string{" + ", ".join(fielderr.quote(item) for item in items) + "}"


def precondition_error(endpoint: Endpoint, stored: Obj, preconditions: Obj) -> StatusError | None:
    """The conflict if a uid or resourceVersion that a deletion insists on differs (rest.BeforeDelete)."""
    from kuartui.embedded.meta.errors import conflict

    metadata = stored["metadata"]
    for field, words, perhaps in (
        ("uid", "UID", "deleted and then recreated"),
        ("resourceVersion", "ResourceVersion", "modified"),
    ):
        wanted = preconditions.get(field)
        if wanted and wanted != metadata.get(field):
            why = (
                f"the {words} in the precondition ({wanted}) does not match the {words} in record "
                f"({metadata.get(field)}). The object might have been {perhaps}"
            )
            return conflict(endpoint.kind, metadata["name"], why, group=endpoint.resource.group)
    return None


_TWICE_OWNED = (
    ".metadata.ownerReferences contains duplicate entries{when}; API server dedups owner references in 1.20+, and may "
    "reject such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: {uids}"
)


def name_owners_once(obj: Obj, warnings: list[str], *, admitted: bool = False) -> None:
    """Drop owners that are there already (in place), and warn of them. `admitted`: after mutating admission."""
    owners = obj.get("metadata", {}).get("ownerReferences") or ()
    twice = [owner["uid"] for index, owner in enumerate(owners) if owner in owners[:index]]
    if twice:
        obj["metadata"]["ownerReferences"] = [owner for i, owner in enumerate(owners) if owner not in owners[:i]]
        when = " after mutating admission happens" if admitted else ""
        warnings.append(_TWICE_OWNED.format(when=when, uids=", ".join(twice)))


def context_of(user: Any, now: datetime, operation: str, subresource: str, dry_run: bool, manager: str) -> WriteContext:
    """The WriteContext of a write by a User."""
    return WriteContext(
        user=user.name,
        groups=tuple(user.groups),
        uid=user.uid,
        extra=user.extra,
        now=now,
        subresource=subresource,
        operation=operation,
        dry_run=dry_run,
        field_manager=manager,
    )
