"""ControllerRevisions: the history of pod templates that StatefulSets and DaemonSets keep.

After pkg/controller/history. A revision holds a patch of spec.template, as `kubectl rollout undo` applies it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson

from kuartui.embedded.client import Client
from kuartui.embedded.controllers import objects
from kuartui.embedded.controllers.hashing import short_hash
from kuartui.embedded.meta.errors import StatusError

Obj = dict[str, Any]

REVISIONS = "controllerrevisions.apps"


def template_patch(owner: Obj) -> Obj:
    """The data of a revision, with the keys in Go's order: kubectl compares its bytes before it rolls back."""
    template = orjson.dumps({**owner["spec"]["template"], "$patch": "replace"}, option=orjson.OPT_SORT_KEYS)
    return {"spec": {"template": orjson.loads(template)}}


def build(owner: Obj, number: int, label: str, collisions: int | None, annotations: dict[str, str]) -> Obj:
    """A revision of the owner's present template; `label` holds its hash."""
    patch = template_patch(owner)
    digest = short_hash(patch, collisions)
    labels = (owner["spec"]["template"].get("metadata") or {}).get("labels") or {}
    meta: Obj = {
        "name": f"{objects.name_of(owner)}-{digest}",
        "namespace": objects.namespace_of(owner),
        "labels": {**labels, label: digest},
        "ownerReferences": [objects.controller_reference(owner)],
    }
    if annotations:
        meta["annotations"] = annotations
    return {
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": meta,
        "data": patch,
        "revision": number,
    }


def in_order(revisions: Iterable[Obj]) -> list[Obj]:
    """Oldest first."""
    return sorted(revisions, key=lambda one: (one["revision"], *objects.created(one)))


def with_template(owner: Obj, revision: Obj) -> Obj:
    """The owner as it was at a revision."""
    template = {key: value for key, value in revision["data"]["spec"]["template"].items() if key != "$patch"}
    return {**owner, "spec": {**owner["spec"], "template": template}}


class History:
    """The revisions of one owner; makes the one of its present template the newest."""

    def __init__(self, client: Client, owner: Obj, revisions: list[Obj], label: str) -> None:
        self._client = client
        self._owner = owner
        self._label = label
        self.revisions = in_order(revisions)
        self.collisions: int = owner.get("status", {}).get("collisionCount") or 0

    async def current(self, annotations: dict[str, str]) -> Obj:
        """The revision of the owner's template: found, brought to the front, or made."""
        number = self.revisions[-1]["revision"] + 1 if self.revisions else 1
        patch = template_patch(self._owner)
        equal = [one for one in self.revisions if one["data"] == patch]
        if not equal:
            return await self._create(number, annotations)
        if equal[-1] is self.revisions[-1]:
            return equal[-1]
        renumbered = await self._client.update(REVISIONS, {**equal[-1], "revision": number})
        self.revisions = in_order([*(one for one in self.revisions if one is not equal[-1]), renumbered])
        return renumbered

    async def _create(self, number: int, annotations: dict[str, str]) -> Obj:
        while True:
            wanted = build(self._owner, number, self._label, self.collisions, annotations)
            try:
                made = await self._client.create(REVISIONS, wanted)
            except StatusError as error:
                if error.reason != "AlreadyExists":
                    raise
                found = self._client.get(REVISIONS, objects.namespace_of(wanted), objects.name_of(wanted))
                if found is None or found["data"] != wanted["data"] or not objects.controlled_by(found, self._owner):
                    self.collisions += 1
                    continue
                made = found
            self.revisions = in_order([*self.revisions, made])
            return made

    async def prune(self, live: set[str], limit: int | None) -> None:
        """Delete the oldest beyond `limit` that nobody runs; `live` are names in use."""
        idle = [one for one in self.revisions if objects.name_of(one) not in live]
        surplus = len(idle) - (10 if limit is None else limit)
        for revision in idle[: max(0, surplus)]:
            try:
                await self._client.delete(REVISIONS, objects.namespace_of(revision), objects.name_of(revision))
            except StatusError as error:
                if error.code != 404:
                    raise
