"""The generic registry: create, update, patch and delete objects of any kind.

k8s.io/apiserver/pkg/registry/generic/registry/store.go. Everybody writes through here: clients over HTTP, controllers
and kubelets in the process. It never names a kind; what is special about one is in its strategy.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from datetime import timedelta
from functools import lru_cache
from typing import Any

import orjson
from msgspec import Struct, field

from kuartui.embedded.admission.base import Attributes, Chain
from kuartui.embedded.api import objects
from kuartui.embedded.api.request import User
from kuartui.embedded.api.resources import Endpoint, Resources
from kuartui.embedded.clock import Clock
from kuartui.embedded.kinds.base import Strategy, WriteContext
from kuartui.embedded.meta import apply, errors, fieldset, zeros
from kuartui.embedded.meta.apply import Manager
from kuartui.embedded.meta.time import format_time
from kuartui.embedded.store import AlreadyExists, Conflict, NotFound, Store, Stored

Obj = dict[str, Any]

OPTIONS = "meta.k8s.io/v1"
ORPHAN, FOREGROUND = "orphan", "foregroundDeletion"
GENERATE_TRIES = 8
RETRIES = 5  # of an unconditional write that loses a race


class Write(Struct):
    """How to write: options of the request."""

    user: User
    manager: str = ""
    dry_run: bool = False
    subresource: str = ""
    force: bool = False
    applied: bool = False
    """Whether the object says itself who manages what: a server-side apply."""
    warnings: list[str] = field(default_factory=list)
    options: Obj = field(default_factory=dict)
    """What admission is told of how it was asked: a CreateOptions, UpdateOptions or PatchOptions."""
    may_create: Callable[[], None] | None = None
    """Raises 403 where an update or a patch would create something that its writer may not create."""


Change = Callable[[Obj], Obj]
"""From the current object (a private copy, in the endpoint's version) to the wanted one."""


Converter = Callable[[Obj, list[Obj], str], Awaitable[list[Obj]]]
"""Has a webhook (a CRD's `spec.conversion.webhook`) convert objects, all of one version, to an apiVersion."""


class Rest:
    """Reads and writes of one cluster."""

    def __init__(self, store: Store, resources: Resources, clock: Clock, admission: Chain) -> None:
        self.store = store
        self.resources = resources
        self.clock = clock
        self.admission = admission
        self.converter: Converter | None = None

    # Reading

    def get(self, endpoint: Endpoint, namespace: str, name: str) -> Stored:
        """Raises 404."""
        found = self.store.get(endpoint.resource.stored, namespace if endpoint.resource.namespaced else "", name)
        if found is None:
            raise errors.not_found(endpoint.resource.name, name)
        return found

    # Versions of custom objects

    async def prepare(self, endpoint: Endpoint, items: Iterable[Stored]) -> None:
        """Have a webhook convert objects that are about to be read, where the kind is converted by one.

        Raises StatusError where it fails.
        """
        strategy = endpoint.strategy
        if strategy.conversion is None:
            return
        missing = [stored for stored in items if not objects.converted(endpoint, stored)]
        for version in sorted({stored.data["apiVersion"] for stored in missing}):
            alike = [stored for stored in missing if stored.data["apiVersion"] == version]
            made = await self._convert(endpoint, [strategy.complete(one.data) for one in alike], endpoint.version)
            for stored, obj in zip(alike, made, strict=True):
                objects.put_converted(endpoint, stored, obj)

    async def in_version(self, endpoint: Endpoint, obj: Obj, version: str) -> Obj:
        """An object that is being written, as admission has it, in a version of its kind. Not to be changed."""
        if endpoint.custom:
            return obj if version == endpoint.version else (await self._convert(endpoint, [obj], version))[0]
        return objects.from_storage(self._sibling(endpoint, version), obj)

    async def from_version(self, endpoint: Endpoint, obj: Obj, version: str) -> Obj:
        """The way back."""
        if endpoint.custom:
            return obj if version == endpoint.version else (await self._convert(endpoint, [obj], endpoint.version))[0]
        return objects.to_storage(self._sibling(endpoint, version), obj)

    def _sibling(self, endpoint: Endpoint, version: str) -> Endpoint:
        if version == endpoint.version:
            return endpoint
        return self.resources.find(endpoint.resource.group, version, endpoint.resource.plural) or endpoint

    async def _convert(self, endpoint: Endpoint, given: list[Obj], version: str) -> list[Obj]:
        strategy = endpoint.strategy
        if self.converter is None or strategy.conversion is None:
            return [strategy.convert(obj, version) for obj in given]
        made = await self.converter(strategy.conversion, given, f"{endpoint.resource.group}/{version}")
        return [strategy.accept(obj, version) for obj in made]

    async def _seen(self, endpoint: Endpoint, stored: Stored) -> Stored:
        """A stored object as the endpoint's version shows it: custom ones are read, changed and judged in that."""
        if not endpoint.custom:
            return stored
        await self.prepare(endpoint, [stored])
        return Stored(stored.key, objects.data_in(endpoint, stored), stored.rv)

    async def _for_store(self, endpoint: Endpoint, obj: Obj) -> Obj:
        """An object as it is stored."""
        storage = endpoint.resource.storage
        if not endpoint.custom or endpoint.version == storage:
            return obj
        return (await self._convert(endpoint, [obj], storage))[0]

    # Creating

    async def create(self, endpoint: Endpoint, namespace: str, obj: Obj, write: Write) -> Obj:
        """Create and give the stored object, in the endpoint's version. `obj` is taken over."""
        generated = not obj.get("metadata", {}).get("name") and bool(obj.get("metadata", {}).get("generateName"))
        raw = orjson.dumps(obj) if generated else b""
        for _ in range(GENERATE_TRIES):
            try:
                return await self._create(endpoint, namespace, obj, write)
            except AlreadyExists as error:
                name = obj["metadata"]["name"]
                if not generated:
                    raise self._exists(endpoint, namespace, name) from error
                obj = orjson.loads(raw)
        raise errors.generate_name_conflict(endpoint.resource.name, name)

    def _exists(self, endpoint: Endpoint, namespace: str, name: str) -> errors.StatusError:
        space = namespace if endpoint.resource.namespaced else ""
        found = self.store.get(endpoint.resource.stored, space, name)
        error = errors.already_exists(endpoint.resource.name, name)
        if found is not None and found.data["metadata"].get("deletionTimestamp"):
            error.message = f"object is being deleted: {error.message}"
        return error

    async def _create(self, endpoint: Endpoint, namespace: str, obj: Obj, write: Write) -> Obj:
        strategy = endpoint.strategy
        context = self._context(write, "CREATE")
        version = orjson.loads(orjson.dumps(obj.get("metadata", {}).get("managedFields") or []))
        claimed = obj.get("metadata", {}).get("resourceVersion", "")
        obj = objects.to_storage(endpoint, obj)
        named = obj.get("metadata", {}).get("name") or obj.get("metadata", {}).get("generateName", "")
        objects.prepare_metadata(endpoint, obj, namespace, self.clock.now())
        if strategy.has_status and not strategy.created_with_status:
            obj.pop("status", None)
        _default(strategy, obj)
        if version:
            obj["metadata"]["managedFields"] = version
        if not write.applied:  # what the server adds from here on belongs to nobody
            self._track(endpoint, None, obj, write)
        attributes = self._attributes(endpoint, "CREATE", namespace, write, obj, None)
        attributes.name = named  # messages of plugins show the prefix of a name to be generated
        await self.admission.mutate(attributes)
        objects.name_owners_once(obj, write.warnings, admitted=True)
        attributes.name = obj["metadata"].get("name", "")
        if attributes.changed:
            _default(strategy, obj)
        strategy.prepare_create(obj, context)  # of what webhooks made of it: they decide what is to be allocated
        _default(strategy, obj)
        self._check(endpoint, obj, objects.validate_metadata(endpoint, obj) + strategy.validate(obj))
        write.warnings += [*context.warnings, *attributes.warnings, *strategy.warnings(obj, None)]
        attributes.warnings = write.warnings
        strategy.canonicalize(obj)
        if write.may_create is not None:
            write.may_create()
        await self.admission.validate(attributes)
        name = obj["metadata"]["name"]
        space = namespace if endpoint.resource.namespaced else ""
        if write.dry_run:
            if self.store.get(endpoint.resource.stored, space, name):
                raise AlreadyExists(name)
            return objects.from_storage(endpoint, obj)
        if claimed.isdigit() and int(claimed):
            raise errors.go_error("resourceVersion should not be set on objects to be created")
        strategy.settle(obj, None, context)
        stored = self.store.create(endpoint.resource.stored, space, name, await self._for_store(endpoint, obj))
        stored.complete = True
        return (
            (await self._seen(endpoint, stored)).data
            if endpoint.custom
            else objects.from_storage(endpoint, stored.data)
        )

    # Updating

    async def update(
        self,
        endpoint: Endpoint,
        namespace: str,
        name: str,
        change: Change,
        write: Write,
        *,
        create: bool = False,
        copy: bool = True,
    ) -> tuple[Obj, bool]:
        """Change an object; give the new one (endpoint's version) and whether it was created.

        `change` may run several times: a write that names no resourceVersion is tried again when it loses a race.
        With `create`, a missing object is made of what `change` gives for {}. Without `copy`, `change` gets the stored
        object itself, and promises to give nothing of it that is written, nor to change it.
        """
        space = namespace if endpoint.resource.namespaced else ""
        for attempt in range(RETRIES):
            current = self.store.get(endpoint.resource.stored, space, name)
            if current is None:
                if not create:
                    raise errors.not_found(endpoint.resource.name, name)
                wanted = change({})
                metadata = wanted.setdefault("metadata", {})
                metadata.pop("resourceVersion", None)
                if metadata.get("uid"):
                    raise _other_object(endpoint, space, name, metadata["uid"], "")
                return await self.create(endpoint, namespace, wanted, write), True
            try:
                return await self._update(endpoint, space, current, change, write, copy), False
            except (Conflict, NotFound) as error:
                if attempt == RETRIES - 1:
                    raise errors.modified(endpoint.resource.name, name) from error
        raise AssertionError("unreachable")

    async def _update(
        self, endpoint: Endpoint, space: str, current: Stored, change: Change, write: Write, copy: bool
    ) -> Obj:
        strategy = endpoint.strategy.at(write.subresource)
        stale = endpoint.custom and current.data["apiVersion"] != endpoint.resource.api_version
        current = await self._seen(endpoint, current)
        old = current.data
        wanted = change(objects.from_storage(endpoint, current.mutable() if copy else old))
        if endpoint.custom and wanted.get("apiVersion") != endpoint.api_version:  # as a controller has read it
            wanted = (await self._convert(endpoint, [wanted], endpoint.version))[0]
        new = objects.to_storage(endpoint, wanted)
        metadata = new.setdefault("metadata", {})
        name = current.key.name
        if metadata.get("uid") and metadata["uid"] != old["metadata"]["uid"]:
            raise _other_object(endpoint, space, name, metadata["uid"], current.uid)
        asked = metadata.get("resourceVersion", "")
        asked = "" if asked == "0" else asked  # etcd3's versioner reads both as none
        if asked and asked != str(current.rv):
            if not asked.isdigit():
                path = "metadata.resourceVersion"
                from kuartui.embedded.meta import fielderr

                error = fielderr.invalid(path, asked, f'strconv.ParseUint: parsing "{asked}": invalid syntax')
                raise errors.invalid(endpoint.resource.group, endpoint.kind, name, [error])
            raise errors.modified(endpoint.resource.name, name)
        if not asked and not strategy.unconditional_update and not write.subresource:
            from kuartui.embedded.meta import fielderr

            error = fielderr.invalid("metadata.resourceVersion", 0, "must be specified for an update")
            raise errors.invalid(endpoint.resource.group, endpoint.resource.plural, name, [error])
        context = self._context(write, "UPDATE")
        objects.carry_metadata(new, old)
        new = self._allowed(endpoint, new, current, write)
        if not write.applied:  # what the server adds from here on belongs to nobody
            self._track(endpoint, old, new, write)
        attributes = self._attributes(endpoint, "UPDATE", space, write, new, old)
        await self.admission.mutate(attributes)
        objects.name_owners_once(new, write.warnings, admitted=True)
        if attributes.changed:  # webhooks may change no more than who writes
            new = attributes.obj = self._allowed(endpoint, new, current, write)
        if write.subresource == "status":
            strategy.prepare_status_update(new, old, context)
        else:
            strategy.prepare_update(new, old, context)
            if strategy.generation:
                objects.bump_generation(endpoint, new, old)
        _default(strategy, new, current if write.subresource == "status" else None)
        problems = objects.validate_metadata_update(endpoint, new, old)
        problems += (
            strategy.validate_status_update(new, old)
            if write.subresource == "status"
            else strategy.validate_update(new, old)
        )
        self._check(endpoint, new, problems)
        write.warnings += [*context.warnings, *attributes.warnings, *strategy.warnings(new, old)]
        attributes.warnings = write.warnings
        strategy.canonicalize(new)
        await self.admission.validate(attributes)
        new["metadata"]["resourceVersion"] = str(current.rv)
        if _same(new, old) and not stale:  # a write of any kind brings what is stored to the storage version
            return objects.from_storage(endpoint, old)
        if write.dry_run:
            return objects.from_storage(endpoint, new)
        strategy.settle(new, old, context)
        resource = endpoint.resource.stored
        if new["metadata"].get("deletionTimestamp") and _is_done(new) and not strategy.held(new):
            self.store.delete(resource, space, name, current.rv)
            if endpoint.custom:
                return (await self._seen(endpoint, Stored(current.key, new, current.rv))).data
            return objects.from_storage(endpoint, new)
        stored = self.store.update(resource, space, name, await self._for_store(endpoint, new), current.rv)
        stored.complete = True
        return (
            (await self._seen(endpoint, stored)).data
            if endpoint.custom
            else objects.from_storage(endpoint, stored.data)
        )

    def _allowed(self, endpoint: Endpoint, new: Obj, current: Stored, write: Write) -> Obj:
        """The new object with nothing changed but what is written through this (sub)resource, and its defaults."""
        strategy = endpoint.strategy.at(write.subresource)
        if write.subresource == "status":
            return self._status_only(new, current, strategy, custom=endpoint.custom)
        if write.subresource in strategy.parts:
            return _parts_only(new, current, strategy.parts[write.subresource])
        if strategy.has_status and not write.subresource:
            _put(new, "status", current.data.get("status"))
        _default(strategy, new)
        return new

    def _status_only(self, new: Obj, current: Stored, strategy: Strategy, *, custom: bool) -> Obj:
        """A status update changes status, and metadata as far as its kind allows.

        The rest is shared with the stored object: nobody changes it in place. What lacks defaults is copied, and so are
        custom objects, whose defaults may have changed.
        """
        result = {**current.data} if current.complete and not custom else current.mutable()
        _put(result, "status", new.get("status"))
        result["metadata"] = new["metadata"]
        before = current.data["metadata"]
        for name in strategy.status_keeps:
            _put(new["metadata"], name, before.get(name))
        return result

    async def connect(self, endpoint: Endpoint, namespace: str, name: str, options: Obj, write: Write) -> None:
        """Ask admission about a connection through a subresource; `options` say which kind they are.

        Raises StatusError where it is refused.
        """
        attributes = self._attributes(endpoint, "CONNECT", namespace, write, options, None)
        attributes.name = name
        await self.admission.mutate(attributes)
        await self.admission.validate(attributes)
        write.warnings += attributes.warnings

    # Deleting

    async def delete(
        self, endpoint: Endpoint, namespace: str, name: str, options: Obj, write: Write
    ) -> tuple[Obj, bool]:
        """Delete gracefully; give the object and whether it is gone at once."""
        space = namespace if endpoint.resource.namespaced else ""
        for attempt in range(RETRIES):
            current = self.store.get(endpoint.resource.stored, space, name)
            if current is None:
                raise errors.not_found(endpoint.resource.name, name)
            problem = objects.precondition_error(endpoint, current.data, options.get("preconditions") or {})
            if problem:
                raise problem
            seen = await self._seen(endpoint, current)
            attributes = self._attributes(endpoint, "DELETE", space, write, None, seen.data, options)
            attributes.name = name
            await self.admission.mutate(attributes)
            await self.admission.validate(attributes)
            write.warnings += attributes.warnings
            if endpoint.strategy.orphans_warning and _propagation(options) is None:
                write.warnings.append(endpoint.strategy.orphans_warning)
            try:
                obj, gone = self._delete(endpoint, current, options, write)
                if endpoint.custom:
                    obj = (await self._seen(endpoint, Stored(current.key, obj, current.rv))).data
                return obj, gone
            except (Conflict, NotFound) as error:
                if attempt == RETRIES - 1:
                    raise errors.modified(endpoint.resource.name, name) from error
        raise AssertionError("unreachable")

    def _delete(self, endpoint: Endpoint, current: Stored, options: Obj, write: Write) -> tuple[Obj, bool]:
        resource, space, name = current.key
        new = current.mutable()
        metadata = new["metadata"]
        asked = options.get("gracePeriodSeconds")
        grace = endpoint.strategy.grace_period(new, asked)
        self._set_finalizers(endpoint, new, options)
        pending = metadata.get("deletionTimestamp")
        if pending:
            left = metadata.get("deletionGracePeriodSeconds") or 0
            if grace is None or (left and asked is not None and grace >= left):
                grace = left if grace is None else min(grace, left)
            elif left and asked is None:
                grace = left
            if grace and (not left or grace >= left):  # it goes at its time, and what becomes of dependents is settled
                return objects.from_storage(endpoint, current.data), False
        if not grace and not metadata.get("finalizers") and not endpoint.strategy.held(new):
            if write.dry_run:
                return objects.from_storage(endpoint, current.data), True
            return objects.from_storage(endpoint, self.store.delete(resource, space, name, current.rv).data), True
        now = self.clock.now()
        if not pending or (metadata.get("deletionGracePeriodSeconds") or 0) > (grace or 0):
            metadata["deletionTimestamp"] = format_time(now + timedelta(seconds=grace or 0))
            metadata["deletionGracePeriodSeconds"] = grace or 0
            if "generation" in metadata and not pending:
                metadata["generation"] += 1
            endpoint.strategy.prepare_delete(new)
        if new == current.data or write.dry_run:
            return objects.from_storage(endpoint, new), False
        return objects.from_storage(endpoint, self.store.update(resource, space, name, new, current.rv).data), False

    def _set_finalizers(self, endpoint: Endpoint, obj: Obj, options: Obj) -> None:
        """The propagation policy is kept as finalizers, which the garbage collector takes off again."""
        before = finalizers = obj["metadata"].get("finalizers") or []
        policy = _propagation(options)
        if policy is None:
            if not endpoint.strategy.orphans or ORPHAN in finalizers or FOREGROUND in finalizers:
                return
            policy = "Orphan"
        wanted = {"Orphan": ORPHAN, "Foreground": FOREGROUND}.get(policy)
        finalizers = [f for f in finalizers if f not in (ORPHAN, FOREGROUND)]
        if wanted:
            finalizers.append(wanted)
        if set(finalizers) != set(before):
            _put(obj["metadata"], "finalizers", finalizers or None)

    # Parts

    def _context(self, write: Write, operation: str) -> WriteContext:
        context = objects.context_of(
            write.user, self.clock.now(), operation, write.subresource, write.dry_run, write.manager
        )
        context.objects = lambda resource: (stored.data for stored in self.store.list(resource))
        return context

    def _attributes(
        self,
        endpoint: Endpoint,
        operation: str,
        namespace: str,
        write: Write,
        obj: Obj | None,
        old: Obj | None,
        options: Obj | None = None,
    ) -> Attributes:
        name = (obj or old or {}).get("metadata", {}).get("name", "")
        return Attributes(
            endpoint=endpoint,
            operation=operation,
            namespace=namespace if endpoint.resource.namespaced else "",
            name=name,
            user=write.user,
            obj=obj,
            old=old,
            subresource=write.subresource,
            dry_run=write.dry_run,
            options=_told(operation, options, write),
        )

    def _check(self, endpoint: Endpoint, obj: Obj, problems: list[Any]) -> None:
        if problems:
            name = obj["metadata"].get("name", "")
            raise errors.invalid(endpoint.resource.group, endpoint.kind, name, problems)

    def _track(self, endpoint: Endpoint, old: Obj | None, new: Obj, write: Write) -> None:
        if not write.manager:
            return
        manager = Manager(write.manager, apply.UPDATE, endpoint.api_version, write.subresource)
        stamp = format_time(self.clock.now())
        owns = ownership(endpoint, write.subresource)
        if endpoint.custom or endpoint.version == endpoint.resource.storage:
            apply.track(old, new, endpoint.node, manager, stamp, owns)
            return
        before = objects.from_storage(endpoint, old) if old else None
        after = objects.from_storage(endpoint, new)
        apply.track(before, after, endpoint.node, manager, stamp, owns)
        _put(new["metadata"], "managedFields", after["metadata"].get("managedFields"))


def _propagation(options: Obj) -> str | None:
    """What a deletion says of dependents, in the words of today."""
    policy, orphan = options.get("propagationPolicy"), options.get("orphanDependents")
    if policy is None and orphan is not None:
        return "Orphan" if orphan else "Background"
    return None if policy is None else str(policy)


def _told(operation: str, options: Obj | None, write: Write) -> Obj:
    """The options of a request as an object of their kind, as admission sees them."""
    if operation == "CONNECT":
        return {}
    if operation == "DELETE":
        return {**(options or {}), "kind": "DeleteOptions", "apiVersion": OPTIONS}
    if write.options:
        return write.options
    dry = {"dryRun": ["All"]} if write.dry_run else {}
    manager = {"fieldManager": write.manager} if write.manager else {}
    return {"kind": f"{operation.title()}Options", "apiVersion": OPTIONS, **dry, **manager}


def _other_object(endpoint: Endpoint, space: str, name: str, uid: str, found: str) -> errors.StatusError:
    """An update that means an object of the same name which is gone: the storage layer's words."""
    path = "/".join(part for part in (endpoint.resource.plural, space, name) if part)
    why = (
        f"StorageError: invalid object, Code: 4, Key: /registry/{path}, ResourceVersion: 0, AdditionalErrorMsg: "
        f"Precondition failed: UID in precondition: {uid}, UID in object meta: {found}"
    )
    return errors.conflict(endpoint.resource.name, name, why)


def ownership(endpoint: Endpoint, subresource: str) -> Callable[[fieldset.Path], bool]:
    """Which fields a write through this (sub)resource can own."""
    only = _as_paths(endpoint.strategy.at(subresource).owned_fields)
    if only:
        return lambda path: fieldset.fits(path, only)
    reset = _as_paths(endpoint.strategy.reset_fields(subresource))
    return lambda path: not fieldset.starts(path, reset)


@lru_cache(256)  # one for each (sub)resource, asked for at each write
def _as_paths(fields: tuple[tuple[str, ...], ...]) -> list[fieldset.Path]:
    return [tuple(part if part == "*" else f"f:{part}" for part in path) for path in fields]


def _put(obj: Obj, key: str, value: Any) -> None:
    if value is None:
        obj.pop(key, None)
    else:
        obj[key] = value


def _default(strategy: Strategy, obj: Obj, current: Stored | None = None) -> None:
    """What the writer left out: the kind's defaults, and the zero values that Go writes.

    With `current`, only status differs from what is stored.
    """
    strategy.default(obj)
    if current is None or not current.complete:
        zeros.fill(obj)
        return
    part: Obj = {key: obj[key] for key in ("apiVersion", "kind", "status") if key in obj}
    zeros.fill(part)
    _put(obj, "status", part.get("status"))


def _parts_only(new: Obj, current: Stored, paths: tuple[str, ...]) -> Obj:
    """The current object with just these dotted paths of the new one."""
    result = current.mutable()
    for path in paths:
        *parents, last = path.split(".")
        source: Any = new
        target = result
        for parent in parents:
            source = source.get(parent) or {}
            target = target.setdefault(parent, {})
        _put(target, last, source.get(last))
    if "managedFields" in new["metadata"]:
        result["metadata"]["managedFields"] = new["metadata"]["managedFields"]
    return result


def _is_done(obj: Obj) -> bool:
    metadata = obj["metadata"]
    return not metadata.get("finalizers") and not metadata.get("deletionGracePeriodSeconds")


def _same(new: Obj, old: Obj) -> bool:
    """Whether a write changes nothing, timestamps of managedFields aside: then it is none."""
    if new == old:
        return True
    left, right = {**new["metadata"]}, {**old["metadata"]}
    return _timeless(left.pop("managedFields", ())) == _timeless(right.pop("managedFields", ())) and {
        **new,
        "metadata": left,
    } == {**old, "metadata": right}


def _timeless(entries: Any) -> list[Obj]:
    return [{k: v for k, v in entry.items() if k != "time"} for entry in entries]
