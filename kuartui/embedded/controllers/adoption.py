"""Adoption and release: a controller's selector decides what it controls among what nobody else does.

After pkg/controller/controller_ref_manager.go.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kuartui.embedded.client import Client
from kuartui.embedded.controllers import objects
from kuartui.embedded.meta.errors import StatusError
from kuartui.embedded.meta.labels import from_object

Obj = dict[str, Any]


async def claim(
    client: Client, resource: str, owner: Obj, selector: Obj | None, candidates: Iterable[Obj]
) -> list[Obj]:
    """What `owner` controls among the candidates, after adopting matching orphans and releasing strays."""
    wanted = from_object(selector)
    claimed = []
    for candidate in candidates:
        ref = objects.controller_of(candidate)
        if ref is not None and ref["uid"] != objects.uid_of(owner):
            continue
        matches = wanted.matches(objects.labels_of(candidate))
        if ref is not None:
            if matches:
                claimed.append(candidate)
            elif not objects.being_deleted(owner):
                await _release(client, resource, owner, candidate)
        elif matches and not objects.being_deleted(owner) and not objects.being_deleted(candidate):
            adopted = await _adopt(client, resource, owner, candidate)
            if adopted is not None:
                claimed.append(adopted)
    return claimed


async def _adopt(client: Client, resource: str, owner: Obj, orphan: Obj) -> Obj | None:
    refs = [*objects.owners(orphan), objects.controller_reference(owner)]
    return await _set_owners(client, resource, orphan, refs)


async def _release(client: Client, resource: str, owner: Obj, stray: Obj) -> None:
    refs = [ref for ref in objects.owners(stray) if ref["uid"] != objects.uid_of(owner)]
    await _set_owners(client, resource, stray, refs)


async def _set_owners(client: Client, resource: str, obj: Obj, refs: list[Obj]) -> Obj | None:
    """Write owner references; None if the object is gone or has been replaced meanwhile."""
    patch = {"metadata": {"uid": objects.uid_of(obj), "ownerReferences": refs or None}}
    try:
        return await client.patch(resource, objects.namespace_of(obj), objects.name_of(obj), patch)
    except StatusError as error:
        if error.code in (404, 409, 422):
            return None
        raise
