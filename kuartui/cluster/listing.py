"""Looks through all that a cluster has, some of which it may not be able to show."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable

from kuartui.cluster.resources import Resource, known
from kuartui.cluster.rest import Api, Obj
from kuartui.errors import ApiError

ABSENT = (404, 405)
AT_ONCE = 8  # kinds that are asked for at the same time
AWAY = (403, 500, 503)  # 500: a definition whose objects nobody can convert; 503: an aggregated API that is down


async def listed(api: Api, resource: Resource, *, selector: str = "", strict: bool) -> list[Obj]:
    """All objects of a kind; none where it cannot be shown now, unless `strict`: then that is an ApiError."""
    try:
        return (await api.list(resource, selector=selector)).items
    except ApiError as error:
        if error.code in ABSENT or (error.code in AWAY and not strict):
            return []
        raise


async def all_listed(
    api: Api, resources: Iterable[Resource], *, selector: str = "", strict: Callable[[Resource], bool]
) -> AsyncGenerator[tuple[Resource, Obj], None]:
    """As `listed`: all objects of these kinds, one kind after the other, while more are asked for. To be closed
    by who does not take all."""
    room = asyncio.Semaphore(AT_ONCE)

    async def answered(resource: Resource) -> list[Obj]:
        async with room:
            return await listed(api, resource, selector=selector, strict=strict(resource))

    asked = [(resource, asyncio.ensure_future(answered(resource))) for resource in resources]
    try:
        for resource, answer in asked:
            for obj in await answer:
                yield resource, obj
    finally:
        for _, answer in asked:
            answer.cancel()
        await asyncio.gather(*(answer for _, answer in asked), return_exceptions=True)


def kept_by_the_server(resource: Resource) -> bool:
    """Whether it is a kind of Kubernetes' own: what is overlooked there is forgotten."""
    return known(resource.kind, resource.api_version) is not None and resource.group != "metrics.k8s.io"
