"""Looks through all that a cluster has, some of which it may not be able to show."""

from __future__ import annotations

from kuartui.cluster.resources import Resource, known
from kuartui.cluster.rest import Api, Obj
from kuartui.errors import ApiError

ABSENT = (404, 405)
AWAY = (403, 500, 503)  # 500: a definition whose objects nobody can convert; 503: an aggregated API that is down


async def listed(api: Api, resource: Resource, *, selector: str = "", strict: bool) -> list[Obj]:
    """All objects of a kind; none where it cannot be shown now, unless `strict`: then that is an ApiError."""
    try:
        return (await api.list(resource, selector=selector)).items
    except ApiError as error:
        if error.code in ABSENT or (error.code in AWAY and not strict):
            return []
        raise


def kept_by_the_server(resource: Resource) -> bool:
    """Whether it is a kind of Kubernetes' own: what is overlooked there is forgotten."""
    return known(resource.kind, resource.api_version) is not None and resource.group != "metrics.k8s.io"
