"""What keeps things from going away: whoever answers for a write to the API, and finalizers that nobody takes off."""

from __future__ import annotations

from collections.abc import Iterable

from kuartui.cluster.rest import Api, Obj
from kuartui.errors import ApiError

#: They have a say in every write, or in what a namespace is known to hold: of ours they go first, else nothing can go.
#: Neither webhooks nor policies are asked about these themselves.
GATES = {
    "ValidatingWebhookConfiguration",
    "MutatingWebhookConfiguration",
    "ValidatingAdmissionPolicyBinding",
    "MutatingAdmissionPolicyBinding",
    "APIService",
}
REFUSALS = {
    403,
    422,
    500,
    503,
}  # of webhooks and policies: they deny, do not answer, or linger in the API server's mind
HELD_SECONDS = 30.0  # so long whoever put a finalizer there has time to act upon it


def refused(error: ApiError) -> bool:
    """Whether it may work in a moment, once the API server knows that a gate is gone."""
    return error.code in REFUSALS


async def let_go(api: Api, namespaces: Iterable[str]) -> None:
    """Take the finalizers off namespaces on their way out, and off all that they still hold: whoever was to do it did
    not."""
    resource = await api.resource("Namespace")
    names = [*namespaces]
    for name in names:
        if (live := await api.read(resource, "", name)) is not None:
            await take_off(api, live)
    for resource in await api.listable():
        if not resource.namespaced:
            continue
        for name in names:
            try:
                items = (await api.list(resource, name)).items
            except ApiError:
                continue  # what cannot be listed now is looked at again
            for obj in items:
                await take_off(api, obj)


async def take_off(api: Api, obj: Obj) -> None:
    """The finalizers of an object that is on its way out. What the server does not take is not insisted on."""
    metadata = obj["metadata"]
    if not metadata.get("deletionTimestamp") or not metadata.get("finalizers"):
        return
    resource = await api.resource(obj["kind"], obj["apiVersion"])
    try:
        await api.patch(resource, metadata.get("namespace", ""), metadata["name"], {"metadata": {"finalizers": None}})
    except ApiError:
        return
