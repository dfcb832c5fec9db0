"""Who manages which field: tracking of updates, and server-side apply.

https://kubernetes.io/docs/reference/using-api/server-side-apply/ and
k8s.io/apimachinery/pkg/util/managedfields. Objects are in the version that the client speaks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import orjson
from msgspec import Struct

from kuartui.embedded.meta import fieldset
from kuartui.embedded.meta.errors import StatusError, apply_conflict
from kuartui.embedded.meta.fieldset import CONTAINER, Fields, Path
from kuartui.embedded.meta.gofmt import html_safe
from kuartui.embedded.meta.schema import Node

Obj = dict[str, Any]

APPLY, UPDATE = "Apply", "Update"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
MAX_UPDATE_MANAGERS = 10
BEFORE_FIRST_APPLY = "before-first-apply"
KUBECTL = "kubectl"
"""The manager under which kubectl applies: to it an object's last client-side apply is its own."""
MAX_ANNOTATIONS = 256 * 1024  # bytes


class Manager(Struct, frozen=True):
    """Identity of an entry in managedFields."""

    name: str
    operation: str
    api_version: str
    subresource: str = ""

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What tells it from others: who applies is the same in every version."""
        return (self.name, self.operation, "" if self.operation == APPLY else self.api_version, self.subresource)


@dataclass(frozen=True, slots=True)
class Entry:
    manager: Manager
    fields: Fields
    time: str
    raw: Obj | None = field(default=None, compare=False)  # as stored, while nothing in it has changed


def read(obj: Obj | None) -> list[Entry]:
    """The entries of an object's managedFields; broken ones are dropped."""
    entries = []
    for raw in (obj or {}).get("metadata", {}).get("managedFields") or ():
        manager = Manager(
            raw.get("manager", ""), raw.get("operation", ""), raw.get("apiVersion", ""), raw.get("subresource", "")
        )
        if raw.get("fieldsType") == "FieldsV1" and manager.operation in (APPLY, UPDATE):
            entries.append(Entry(manager, fieldset.from_fields_v1(raw.get("fieldsV1")), raw.get("time", ""), raw))
    return entries


def write(obj: Obj, entries: Iterable[Entry]) -> None:
    """Set an object's managedFields: applies first, then updates by time; empty entries vanish."""
    kept = [entry for entry in entries if entry.fields]
    kept.sort(key=lambda e: (e.manager.operation != APPLY, e.time, e.manager.name, e.manager.api_version))
    metadata = obj.setdefault("metadata", {})
    metadata.pop("managedFields", None)
    if kept:
        metadata["managedFields"] = [_raw(entry) for entry in kept]


def _raw(entry: Entry) -> Obj:
    if entry.raw is not None:
        return entry.raw
    manager = entry.manager
    raw: Obj = {
        "apiVersion": manager.api_version,
        "fieldsType": "FieldsV1",
        "fieldsV1": fieldset.to_fields_v1(entry.fields),
        "manager": manager.name,
        "operation": manager.operation,
    }
    if manager.subresource:
        raw["subresource"] = manager.subresource
    if entry.time:
        raw["time"] = entry.time
    return raw


def everything(_path: Path) -> bool:
    """A write that may own every field."""
    return True


def track(
    old: Obj | None, new: Obj, node: Node, manager: Manager, now: str, owns: Callable[[Path], bool] = everything
) -> None:
    """Note in `new` (in place) that `manager` wrote it over `old`. `owns`: whether this write can own a path."""
    entries = _known(old, new, manager)
    if old is not None and not entries:
        write(new, [])  # not tracked before, nor from now on, until somebody applies
        return
    before, after = fieldset.differing(old or {}, new, node)
    changed = {path for path, value in after.items() if (path not in before or before[path] != value) and owns(path)}
    removed = frozenset(path for path in before if path not in after and owns(path))
    if not changed and not removed:
        write(new, entries)
        return
    result: list[Entry] = []
    mine: Entry | None = None
    for entry in entries:
        if entry.manager.key == manager.key:
            mine = entry
            continue
        result.append(_less(entry, changed | removed))
    owned = ((mine.fields if mine else frozenset()) - removed) | changed
    if mine is None or owned != mine.fields:
        mine = Entry(manager, frozenset(owned), now)
    write(new, [*result, mine])


def _known(old: Obj | None, new: Obj, manager: Manager) -> list[Entry]:
    """Who managed what before a write: a writer may say so itself; one that knows nothing of it changes nothing."""
    if old is None:
        return read(new)
    given = new.get("metadata", {}).get("managedFields")
    if given is None or manager.subresource or given is old["metadata"].get("managedFields"):
        return read(old)
    if given == [{}]:
        return []
    return read(new) or read(old)


def _less(entry: Entry, paths: Iterable[Path]) -> Entry:
    kept = entry.fields.difference(paths)
    return entry if len(kept) == len(entry.fields) else replace(entry, fields=kept, raw=None)


def apply(
    live: Obj | None,
    patch: Obj,
    node: Node,
    manager: Manager,
    now: str,
    *,
    force: bool = False,
    owns: Callable[[Path], bool] = everything,
) -> Obj:
    """The object that applying `patch` makes of `live`, managedFields included. Raises 409 for conflicts."""
    if patch.get("metadata", {}).get("managedFields") is not None:
        raise StatusError(400, "BadRequest", "metadata.managedFields must be nil")
    wanted = {path: value for path, value in fieldset.values(patch, node, whole=False).items() if owns(path)}
    entries = read(live)
    if live is not None and not entries:
        existing = frozenset(fieldset.values(live, node, whole=True))
        entries = [Entry(Manager(BEFORE_FIRST_APPLY, UPDATE, manager.api_version), existing, now)]
    current = fieldset.values(live, node, whole=True) if live is not None else {}
    differs = {
        path
        for path, value in wanted.items()
        if path not in current or (current[path] != value and current[path] is not CONTAINER and value is not CONTAINER)
    }
    mine = next((entry for entry in entries if entry.manager.key == manager.key), None)
    others = [entry for entry in entries if entry is not mine]
    clashes = [(entry, sorted(entry.fields & differs)) for entry in others if entry.fields & differs]
    if clashes and not force and live is not None:
        allowed = _last_applied(live, current, node, manager)
        kept = [(entry, [path for path in paths if path not in allowed]) for entry, paths in clashes]
        kept = [(entry, paths) for entry, paths in kept if paths]
        if kept:
            raise _conflict(kept)
    if clashes:
        others = [_less(entry, differs) for entry in others]
    merged: Obj = _merge(live or {}, patch, node)
    dropped = (mine.fields if mine else frozenset()) - frozenset(wanted)
    if dropped:
        held = {("f:metadata",), *wanted}.union(*(entry.fields for entry in others))  # the name is always applied
        held |= _fields_around(held, node)
        for path in sorted(dropped | _fields_around(dropped, node), key=len):  # an element goes before its fields
            if path not in held and not _is_key(path):
                _remove(merged, path, node)
    still = fieldset.values(merged, node, whole=True)
    others = [replace(entry, fields=frozenset(p for p in entry.fields if p in still), raw=None) for entry in others]
    owned = frozenset(wanted)
    stamp = mine.time if mine and mine.fields == owned and not differs and not dropped else now
    write(merged, [*others, Entry(manager, owned, stamp)])
    if manager.name == KUBECTL:
        _sync_last_applied(merged, patch)
    return merged


def _last_applied(live: Obj, current: dict[Path, Any], node: Node, manager: Manager) -> frozenset[Path]:
    """What kubectl, when it changes from client-side to server-side apply, may take over without a conflict.

    k8s.io/apimachinery/pkg/util/managedfields/internal/lastappliedmanager.go
    """
    text = (live["metadata"].get("annotations") or {}).get(LAST_APPLIED)
    if manager.name != KUBECTL or not text:
        return frozenset()
    try:
        before = orjson.loads(text)
    except ValueError:
        return frozenset()
    if not isinstance(before, dict) or before.get("apiVersion") != manager.api_version:
        return frozenset()
    said = fieldset.values(before, node, whole=False)
    return frozenset(path for path, value in said.items() if path in current and current[path] == value)


def _sync_last_applied(merged: Obj, patch: Obj) -> None:
    """Keep the annotation of client-side apply true, so that one can go back to it (`lastappliedupdater.go`)."""
    metadata = merged["metadata"]
    annotations = dict(metadata.get("annotations") or {})
    if not annotations.get(LAST_APPLIED):
        return
    own = dict(patch.get("metadata", {}))
    if own.get("annotations"):
        own["annotations"] = {key: value for key, value in own["annotations"].items() if key != LAST_APPLIED}
    text = orjson.dumps({**patch, "metadata": own}, option=orjson.OPT_SORT_KEYS).decode()
    annotations[LAST_APPLIED] = html_safe(text) + "\n"
    if sum(len(key) + len(value) for key, value in annotations.items()) > MAX_ANNOTATIONS:
        del annotations[LAST_APPLIED]
    metadata["annotations"] = annotations


def _fields_around(paths: Iterable[Path], node: Node) -> set[Path]:
    """The fields of structs that paths lead through: one in which nobody holds anything goes with all its defaults.

    EnsureNamedFieldsAreMembers of sigs.k8s.io/structured-merge-diff/v6/fieldpath/set.go
    """
    found: set[Path] = set()
    for path in paths:
        place = node
        for end, part in enumerate(path[:-1], 1):
            if not part.startswith("f:"):
                place = place.items
                continue
            if part[2:] in place.properties:
                found.add(path[:end])
            place = place.field(part[2:]) or Node({})
    return found


def _is_key(path: Path) -> bool:
    """Whether a field is what its element of a list is known by: it goes with the element only."""
    inside = len(path) > 1 and path[-2].startswith("k:") and path[-1].startswith("f:")
    return inside and path[-1][2:] in orjson.loads(path[-2][2:])


def _conflict(clashes: list[tuple[Entry, list[Path]]]) -> StatusError:
    causes = []
    blocks: dict[str, list[str]] = {}
    for entry, paths in clashes:
        manager = entry.manager
        who = f'"{manager.name}"'
        if manager.subresource:
            who += f' with subresource "{manager.subresource}"'
        if manager.operation == UPDATE:
            who += f" using {manager.api_version}"
        for path in paths:
            text = fieldset.show(path)
            blocks.setdefault(who, []).append(text)
            causes.append({"reason": "FieldManagerConflict", "message": f"conflict with {who}", "field": text})
    count = len(causes)
    if count == 1:
        (who, paths_shown), *_ = blocks.items()
        message = f"Apply failed with 1 conflict: conflict with {who}: {paths_shown[0]}"
    else:
        lines = [
            f"conflicts with {who}:\n" + "\n".join(f"- {p}" for p in shown) for who, shown in sorted(blocks.items())
        ]
        message = f"Apply failed with {count} conflicts: " + "\n".join(lines)
    return apply_conflict(causes, message)


def merge(live: Obj, patch: Obj, node: Node) -> Obj:
    """What applying `patch` makes of `live`, without a look at who manages what; neither is changed."""
    merged: Obj = _merge(live, patch, node)
    return merged


def _merge(old: Any, new: Any, node: Node) -> Any:
    """`new` laid over `old`; neither is changed."""
    if isinstance(new, dict) and isinstance(old, dict) and not node.atomic_map:
        result = dict(old)
        for key, value in new.items():
            inner = node.field(key) or Node({})
            if _is_value(value, inner):
                result[key] = _merge(old.get(key), value, inner)
        return result
    if isinstance(new, list) and isinstance(old, list) and node.list_type in ("map", "set"):
        return _merge_list(old, new, node)
    if isinstance(new, dict):
        fields = ((key, value, node.field(key) or Node({})) for key, value in new.items())
        return {key: _merge(None, value, inner) for key, value, inner in fields if _is_value(value, inner)}
    return new


def _is_value(value: Any, node: Node) -> bool:
    """Null means absent, but where a custom resource's schema has it as a value."""
    return value is not None or bool(node.raw.get("nullable"))


def _merge_list(old: list[Any], new: list[Any], node: Node) -> list[Any]:
    """Keyed lists in one: the applied order, and what only the server knows where it is before its next common neighbour.

    visitListItems of sigs.k8s.io/structured-merge-diff/v6/typed/merge.go. Elements that the server has twice, which
    nobody may apply, are not merged with the applied one.
    """
    old_keys = [fieldset.element_key(item, node) for item in old]
    new_keys = [fieldset.element_key(item, node) for item in new]
    if len(set(new_keys)) < len(new_keys):
        raise StatusError(500, "InternalError", "failed to create typed patch object: duplicate entries for key")
    known = {key: item if old_keys.count(key) == 1 else None for key, item in zip(old_keys, old, strict=True)}
    merged = {key: _merge(known.get(key), item, node.items) for key, item in zip(new_keys, new, strict=True)}
    shared = [key for key in new_keys if key in known]
    result: list[Any] = []
    done: set[Any] = set()
    left = right = 0
    while left < len(old) or right < len(new):
        mine = old_keys[left] if left < len(old) else None
        if left < len(old) and mine not in merged:
            result.append(old[left])
            left += 1
            continue
        if left < len(old) and right < len(new) and mine != new_keys[right] and shared and mine != shared[0]:
            left += 1  # common, but not the next in the applied order
            continue
        if left < len(old) and (mine in done or (right < len(new) and mine == new_keys[right])):
            left += 1
        if right < len(new):
            key = new_keys[right]
            result.append(merged[key])
            done.add(key)
            right += 1
            if shared and shared[0] == key:
                shared.pop(0)
    return result


def _remove(obj: Obj, path: Path, node: Node) -> None:
    """Take a path out of an object (in place, along copies made by the merge)."""
    *parents, last = path
    place: Any = obj
    here = node
    for part in parents:
        step = _step(place, part, here)
        if step is None:
            return
        index, here = step
        copy = dict(place[index]) if isinstance(place[index], dict) else list(place[index])
        place[index] = copy
        place = copy
    step = _step(place, last, here)
    if step is not None:
        del place[step[0]]


def _step(place: Any, part: str, node: Node) -> tuple[Any, Node] | None:
    if part.startswith("f:"):
        key = part[2:]
        if not isinstance(place, dict) or key not in place:
            return None
        return key, node.field(key) or Node({})
    if not isinstance(place, list):
        return None
    for index, item in enumerate(place):
        if fieldset.element_key(item, node) == part:
            return index, node.items
    return None
