"""Everything that is in a cluster, and how two looks at it differ."""

from __future__ import annotations

import json
from typing import Any

from kuartui.cluster.rest import Api
from kuartui.errors import ApiError
from kuartui.play.cleanup import NOISE, content


async def dump(api: Api) -> dict[str, str]:
    """Every object there is, as somebody meant it."""
    found = {}
    for resource in await api.listable():
        if resource.kind in NOISE:
            continue
        try:
            listing = await api.list(resource)
        except ApiError:
            continue
        for obj in listing.items:
            key = f"{resource.group_resource} {obj['metadata'].get('namespace', '')}/{obj['metadata']['name']}"
            found[key] = json.dumps(content(obj), sort_keys=True) + str(obj["metadata"].get("uid"))
    return found


def differences(before: dict[str, str], after: dict[str, str]) -> dict[str, tuple[Any, Any]]:
    return {key: (before.get(key), after.get(key)) for key in {*before, *after} if before.get(key) != after.get(key)}
