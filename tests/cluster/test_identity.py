"""Who is removed with an attempt, and who is not."""

from __future__ import annotations

from typing import Any

import pytest

from kuartui.cluster import identity
from kuartui.cluster.resources import Resource
from kuartui.cluster.rest import Listing
from kuartui.errors import ApiError


class Busy:
    """An API server that does not say which accounts there are."""

    def __init__(self) -> None:
        self.deleted: list[str] = []

    async def resource(self, kind: str) -> Resource:
        return Resource(kind, "", "v1", kind.lower())

    async def list(self, resource: Resource, *_: Any, **__: Any) -> Listing:
        if resource.kind == "ServiceAccount":
            raise ApiError("too many requests", code=429)
        return Listing([], "1")

    async def delete(self, resource: Resource, _namespace: str, name: str, **_: Any) -> bool:
        self.deleted.append(f"{resource.kind} {name}")
        return True


async def test_the_checker_stays_while_nobody_knows_who_else_plays() -> None:
    busy = Busy()
    with pytest.raises(ApiError, match="too many"):
        await identity.remove(busy, "attempt-0123456789ab")  # type: ignore[arg-type]
    assert "Namespace kuartui-system" not in busy.deleted
